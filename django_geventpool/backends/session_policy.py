"""SESSION_STATE: what the wrapper that has a session says of statements that leave something in it."""

from __future__ import annotations

import _thread
from collections.abc import Collection

from ..drivers.session.owner import Scope
from ..pool.counters import StateKind
from . import session_log
from .health_checks import HealthCheckMixin
from .use import Use

#: The values of SESSION_STATE with which a connection stays for session state.
PINNING = ("pin", "raise")


class SessionPolicyMixin(HealthCheckMixin):
    """A mixin that makes a wrapper the owner of its connection's ``SessionState``."""

    #: What the wrapper needs its connection for.
    use: Use
    calls_under_way: int
    _per_transaction: bool

    def scope_of_state(self, kinds: Collection[StateKind], *, is_sent: bool) -> Scope:
        """Do as SESSION_STATE says about state that a statement is about to make; return for how long it is needed.

        :raises SessionStateError: if that refuses the statement, and it wasn't sent.
        """
        policy = self.session_policy
        if self.calls_under_way:
            return Scope.SET_UP
        if self.use.pins:
            return Scope.PASSING
        if policy == "raise" and not is_sent:
            raise session_log.refusal(self.alias, kinds)
        if policy == "warn" or (self._per_transaction and policy != "ignore"):
            session_log.warn_once(self.alias, self._adapter.who(), kinds, stays=policy in PINNING)
        return Scope.KEPT

    def who(self) -> str:
        """Return the name of the holder of the connection, as it is shown."""
        return self._adapter.who()

    def has_session(self, session: object) -> bool:
        """Return whether the connection is that of a session; its holder may ask the server about locks."""
        connection = self._adapter.connection
        if connection is None or connection.session is not session:
            return False
        if self._thread_ident == _thread.get_ident():  # type: ignore[attr-defined]
            self._adapter.driver.kinds_kept(connection)
        return True
