"""The error of who uses a database whose options are wrong; imported when it is raised, for Django's commands."""

from __future__ import annotations

from django.core.management.base import CommandError

from ..errors import InvalidOption


class UnusableDatabase(InvalidOption, CommandError):
    """A database is used, the OPTIONS of which are wrong; the message says which and how to mend them.

    A management command that runs into it ends with that message, and no traceback.
    """
