"""Which databases and engines are the pool's, by the class of their wrappers and not by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.utils import load_backend

if TYPE_CHECKING:
    from django.db.backends.postgresql.base import DatabaseWrapper as Base

    from .options import PoolOptions, SessionStatePolicy
    from .pool import Pool
else:
    Base = object

#: What the names of the pool's own engines begin with.
OWN = f"{__name__.partition('.')[0]}.backends."
#: Django's own engines, which are never derived from anybody's.
_STOCK = ("django.db.backends.", "django.contrib.gis.db.backends.")
_STOCK_POSTGRESQL = ("postgresql", "postgis")


class PooledWrapper(Base):
    """Base of the ``DatabaseWrapper`` classes whose connections come from a pool."""

    if TYPE_CHECKING:
        # Defined in `backends/pooled.py`, for the modules beside it.

        session_policy: SessionStatePolicy

        @property
        def pool_options(self) -> PoolOptions: ...  # noqa: D102

        def pool_of_target(self) -> Pool: ...  # noqa: D102

        def configure(self, connection: Any) -> None: ...  # noqa: D102


def pooled_databases() -> dict[str, dict[str, Any]]:
    """Return the settings of the databases that use one of the pool's engines, or one derived from them, by alias."""
    return {alias: database for alias, database in settings.DATABASES.items() if is_pooled(engine_of(database))}


def engine_of(database: dict[str, Any]) -> str:
    """Return the ENGINE of a database's settings, which may lack one."""
    return str(database.get("ENGINE", ""))


def is_pooled(engine: str) -> bool:
    """Return whether an ENGINE is one of the pool's, or is derived from one. Nothing connects."""
    # Without importing it, which fails if the driver or its libraries are missing.
    if engine.startswith(OWN):
        return True
    wrapper_class = _load(engine)
    return wrapper_class is not None and issubclass(wrapper_class, PooledWrapper)


def is_postgresql(engine: str) -> bool:
    """Return whether an ENGINE is one of Django's for PostgreSQL, or is derived from one. Nothing connects."""
    if engine.startswith(_STOCK):
        return engine.rpartition(".")[2] in _STOCK_POSTGRESQL
    wrapper_class = _load(engine)
    if wrapper_class is None:
        return False
    from django.db.backends.postgresql.base import DatabaseWrapper

    return issubclass(wrapper_class, DatabaseWrapper)


def _load(engine: str) -> type[Any] | None:
    """Return the wrapper class of an engine that isn't Django's own, None if it can't be imported; Django says why."""
    if not engine or engine.startswith(_STOCK):
        return None
    try:
        wrapper_class = load_backend(engine).DatabaseWrapper
    except Exception:  # noqa: BLE001  an engine is somebody else's code, which may lack whatever it needs
        return None
    return wrapper_class if isinstance(wrapper_class, type) else None
