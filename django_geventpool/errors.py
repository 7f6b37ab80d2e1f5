"""The errors that users of the pool may see, all of them kinds of Django's own."""

from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, ProgrammingError


class InvalidOption(ImproperlyConfigured):
    """An entry of ``DATABASES[alias]["OPTIONS"]`` can't be used; the message says which and how to mend it."""


class SessionStateError(ProgrammingError):
    """A statement was not sent, as it would leave something in the session, and ``SESSION_STATE`` is "raise".

    The message names the kind of state and the ways out.
    """


class PoolError(OperationalError):
    """Base of the errors that come from the pool itself, not from the server."""


class PoolTimeout(PoolError):
    """No connection came free in time: within ``CONN_WAIT_TIMEOUT``, ``wait_timeout``, or a time limit of the task's.

    The message says which, and carries the pool's numbers: limit, in use, idle, waiting and the longest holder.
    """


class ClientBusy(PoolError):
    """Two greenlets or threads that share a wrapper are taking a connection for it at the same time."""


class PoolClosed(PoolError):
    """The pool was closed, or belongs to the process that this one was forked from."""
