"""A database alias that must be whole after a test, and that does not cost minutes if it isn't."""

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
    """An alias of two connections, unless the OPTIONS say otherwise; at the end its pool must be whole."""
    scene = Scene(server, observer, {"CONN_WAIT_TIMEOUT": 2, **options})
    try:
        yield scene.database
        scene.give_back()
        check_whole(scene.database, observer)
    except BaseException:
        scene.abandon()
        raise
    scene.close()
