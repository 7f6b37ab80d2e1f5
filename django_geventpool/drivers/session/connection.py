"""What a connection knows of its session, from statements and from what the server reports unasked."""

from __future__ import annotations

from typing import Any

from ..statement_limit import StatementLimit
from .state import REPORTED, SERVER, SETTING, SessionState


class SessionConnection:
    """A mixin for the pool's connections: compares the session with what it was, without a round trip."""

    #: What holders have done on the server, as far as statements tell.
    session: SessionState
    #: Limits the time of their statements; None if nothing does.
    statement_limit: StatementLimit | None = None
    #: What the server had reported when the session was ready for use, of the names in REPORTED.
    _reported: tuple[Any, ...] = ()
    #: The same when the visitor that had it last had set it up.
    _reported_at_set_up: tuple[Any, ...] = ()

    def limit(self, cursor: Any) -> None:
        """Make a cursor obey the ``statement_limit``, if those of its class don't anyway."""

    def record_as_opened(self) -> None:
        """Record the present state of the session, in which each holder is to get it."""
        self.record_report()
        self.session.begin()

    def record_as_set_up(self) -> None:
        """Record the present state of the session as what its visitor has set up."""
        self.session.has_more_set_up = False
        self._reported_at_set_up = self._report()

    def _report(self) -> tuple[Any, ...]:
        """Return what the server has reported of the names in REPORTED."""
        raise NotImplementedError

    def changes(self) -> int:
        """Return what may have been changed: IDENTITY, CHARACTERISTICS, CURSORS, ENCODING, SETTING, RECORDED, SERVER.

        A SETTING that was set up for the holder is no change.
        """
        changes = self.session.changes
        reported = self._report()
        if reported != self._reported:
            for change, opened, set_up, now in zip(
                REPORTED.values(), self._reported, self._reported_at_set_up, reported, strict=True
            ):
                if now != opened and (now != set_up or change != SETTING):
                    changes |= change
        return changes

    def reports_state(self) -> bool:
        """Return whether the server has reported changes of the session since it was set up for the holder."""
        if self.session.has_more_set_up:  # By a derived engine, on the way to a cursor.
            self.record_as_set_up()
        reported = self._report()
        return reported != self._reported_at_set_up and any(
            now != set_up and change != SERVER
            for change, set_up, now in zip(REPORTED.values(), self._reported_at_set_up, reported, strict=True)
        )

    def has_lasting_set_up(self) -> bool:
        """Return whether what was set up for the last visitor would stay for the next one."""
        # The first is nearly always so, and each checkout asks.
        is_as_opened = self._reported_at_set_up == self._reported or not self._settings_reported_at_set_up()
        return not is_as_opened or self.session.has_lasting_set_up()

    def _settings_reported_at_set_up(self) -> set[str]:
        """Return the names of the settings that the server reported as others when the session was set up."""
        if self._reported_at_set_up == self._reported:
            return set()
        changed = zip(REPORTED.items(), self._reported, self._reported_at_set_up, strict=True)
        return {name.lower() for (name, change), old, new in changed if change == SETTING and old != new}

    def settings_set_up(self) -> set[str] | None:
        """Return the names of the settings that are all that the setting up has left; None if it may have left more."""
        names = self.session.settings_set_up()
        return names if names is not None and names >= self._settings_reported_at_set_up() else None

    def begin_anew(self) -> None:
        """Begin again as a session that nobody has set up, as it was just cleared."""
        self.record_report()
        self.session.begin_anew()
        self.session.changes |= SERVER  # Clearing it may have brought that report, too.

    def record_report(self) -> None:
        """Record what the server has reported as what holders are to get: its own defaults may have changed since."""
        self._reported = self._reported_at_set_up = self._report()
