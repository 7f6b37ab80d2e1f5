"""Check for apps whose state lives in the server's session, where POOL_MODE "transaction" may lose it.

It does so with SESSION_STATE "warn" and "ignore"; otherwise the connection stays with whoever has state in its session,
or the statement is refused. The apps are known by their modules; what each keeps in the session was read in its source.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

from .. import engines
from . import ids
from .documentation import explained


def _always() -> bool:
    return True


@dataclass(frozen=True)
class SessionApp:
    """An app that keeps something in the session."""

    #: What it keeps there.
    keeps: str
    #: What goes wrong without a pin.
    otherwise: str
    #: What to do: a sentence with places for {pin} and {use}.
    hint: str = "Put {pin} around {use}."
    #: What a pin goes around.
    use: str = ""
    #: Returns whether it does so under the project's settings.
    applies: Callable[[], bool] = _always

    def message(self, name: str, alias: str, policy: str) -> CheckMessage:
        """Return the warning for an alias."""
        pin = f'"with django_geventpool.utils.pinned("{alias}"):"'
        return CheckWarning(
            f'DATABASES["{alias}"] has POOL_MODE "transaction" and SESSION_STATE "{policy}", and {name} keeps '
            f"{self.keeps} in the server's session, where each transaction's end may lose it: {self.otherwise}.",
            hint=f'Set SESSION_STATE to "pin". Or: {self.hint.format(pin=pin, use=self.use)} '
            f'Once that is done: SILENCED_SYSTEM_CHECKS = ["{ids.SESSION_APP}"].',
            id=ids.SESSION_APP,
        )


def _uses_session_variables() -> bool:
    return not (getattr(settings, "RLS_TENANTS", None) or {}).get("USE_LOCAL_SET", False)


#: The values of SESSION_STATE with which the connection goes back, whatever is in its session.
_LOSING = ("warn", "ignore")

_LOCK = "a lock may exclude nobody"

#: By the module of the app or library.
KNOWN = {
    "pglock": SessionApp(
        "advisory locks and lock_timeout", _LOCK, use="pglock.advisory and pglock.timeout (not needed with xact=True)"
    ),
    "django_pg_utils": SessionApp(
        "advisory locks and settings",
        f"{_LOCK}, and settings may be missing",
        use="advisory_lock and pg_set (not needed with atomic_set)",
    ),
    "concurrency_safe": SessionApp("advisory locks", _LOCK, use="what it guards"),
    "pgactivity": SessionApp(
        "statement_timeout", "the one that pgactivity.timeout sets may not hold", use="pgactivity.timeout"
    ),
    "pgpubsub": SessionApp("LISTEN", "its listener hears nothing", use="pgpubsub.listen.listen"),
    "pgq": SessionApp("LISTEN", "its workers hear nothing", use="Queue.listen and Queue.wait"),
    "django_pg_migration_tools": SessionApp(
        "lock_timeout, statement_timeout and the lock of its command",
        "timeouts may not hold, and the lock may be lost in the middle of migrations",
        use="apply_timeouts outside of transactions, and around the command migrate_with_timeouts",
    ),
    "django_pg_audit": SessionApp(
        "the request's id",
        "changes may be logged without it",
        use="each request, in a middleware before its own",
    ),
    "dpq": SessionApp("LISTEN", "its workers hear nothing", use="Queue.listen and Queue.wait"),
    "django_rls": SessionApp(
        "the user of row-level security",
        "queries may run without one, or as another if ON_RELEASE_DISCARD_ALL is False",
        use="each request and task",
    ),
    "django_rls_tenants": SessionApp(
        "the tenant of row-level security",
        "queries may run without one, or as another if ON_RELEASE_DISCARD_ALL is False",
        'Set RLS_TENANTS["USE_LOCAL_SET"] to True, with ATOMIC_REQUESTS and transaction.atomic in tasks, or put {pin} '
        "around each request and task.",
        applies=_uses_session_variables,
    ),
}


@explained
def check_session_apps(**_kwargs: Any) -> Sequence[CheckMessage]:
    """Warn of the installed or imported apps that need pins, for each database in mode "transaction" without them."""
    given = {alias: database.get("OPTIONS") for alias, database in engines.pooled_databases().items()}
    policies = {
        alias: options["SESSION_STATE"]
        for alias, options in given.items()
        if isinstance(options, dict)
        and options.get("POOL_MODE") == "transaction"
        and options.get("SESSION_STATE") in _LOSING
    }
    if not policies:
        return []
    present = {config.name for config in apps.get_app_configs()} | sys.modules.keys()
    return [
        app.message(name, alias, policy)
        for name, app in KNOWN.items()
        if name in present and app.applies()
        for alias, policy in policies.items()
    ]
