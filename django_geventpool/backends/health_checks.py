"""Django's CONN_HEALTH_CHECKS, for connections that are kept from request to request (CONN_MAX_AGE)."""

from __future__ import annotations

from .pooled import PooledMixin


class HealthCheckMixin(PooledMixin):
    """A mixin that replaces a connection which fails Django's check."""

    # Django's, which sets them when it connects.
    health_check_enabled: bool
    health_check_done: bool

    def close_if_health_check_failed(self) -> None:
        """Check a connection that is kept from request to request, if CONN_HEALTH_CHECKS is set.

        Django's PostgreSQL engine leaves that to a pool. Ours looks at connections only when it lends them, and may
        find nothing wrong with one that an engine's ``is_usable`` rejects. So that is closed here.
        """
        if self.health_check_done or not self.health_check_enabled or self.connection is None:
            return
        if not self.is_usable():
            if self.connection is not None:  # In a forked child it was forgotten, as the parent's.
                self.connection.close()
            self.close()
        self.health_check_done = True
