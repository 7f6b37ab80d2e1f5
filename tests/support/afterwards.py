"""A database alias whose pool must be whole after a test; a pool that hangs fails it soon."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from servers.postgres_address import Postgres

from .database import Database
from .observer import Observer
from .scene import Scene
from .wholeness import check_whole


@contextlib.contextmanager
def whole_afterwards(server: Postgres, observer: Observer, **options: Any) -> Iterator[Database]:
    """Yield an alias with a limit of two, or as OPTIONS say; at the end its pool must be whole."""
    scene = Scene(server, observer, {"CONN_WAIT_TIMEOUT": 2, **options})
    try:
        yield scene.database
        scene.give_back()
        check_whole(scene.database, observer)
    except BaseException:
        scene.abandon()
        raise
    scene.close()
