"""The libpq of psycopg 3."""

from __future__ import annotations

import functools
import sys

from psycopg import pq
from psycopg.pq.misc import find_libpq_full_path


@functools.cache
def library() -> str:
    """Return the file name of the libpq that psycopg uses, or of a library that is linked with it."""
    if pq.__impl__ == "python":
        return find_libpq_full_path() or ""
    return str(sys.modules[pq.PGconn.__module__].__file__)
