"""The error of using a database whose options are wrong. Imported only when raised, with Django's commands."""

from __future__ import annotations

from django.core.management.base import CommandError

from ..errors import InvalidOption


class UnusableDatabase(InvalidOption, CommandError):
    """A database is used whose OPTIONS are wrong; the message says which and how to mend them.

    A management command that runs into it ends with that message, and no traceback.
    """
