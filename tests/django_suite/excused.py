"""Tests that pass on Django's own engine and can't pass on ours, each with the reason.

A test that passes nevertheless is reported, and has to leave this list.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.launcher import DRIVERS

from .plan import MODES


@dataclass(frozen=True)
class Excuse:
    """The reason why a test need not pass, and the modes and drivers to which it applies."""

    test: str
    reason: str
    modes: tuple[str, ...] = MODES
    drivers: tuple[str, ...] = DRIVERS


_HEALTH_CHECKS = "backends.base.test_base.ConnectionHealthChecksTests."
_DJANGOS_POOL = "backends.postgresql.tests.Tests."

EXCUSES = [
    Excuse(
        f"{_HEALTH_CHECKS}test_health_checks_enabled",
        "expects the connection to be kept between queries (CONN_MAX_AGE)",
        modes=("transaction",),
    ),
    Excuse(
        f"{_HEALTH_CHECKS}test_set_autocommit_health_checks_enabled",
        "expects the connection to be kept between transactions (CONN_MAX_AGE)",
        modes=("transaction",),
    ),
    Excuse(
        "backends.tests.ThreadTests.test_default_connection_thread_local",
        "expects three threads that have closed their cursors to have a connection each, still",
        modes=("transaction",),
    ),
    Excuse(
        "test_utils.tests.AssertNumQueriesUponConnectionTests.test_ignores_connection_configuration_queries",
        "puts a function in the place of BaseDatabaseWrapper.ensure_connection() that calls the wrapper's own method, "
        "which is ours, and calls that of the base class: the function calls itself for ever",
    ),
    Excuse(
        f"{_DJANGOS_POOL}test_connect_pool",
        'switches on Django\'s own pool with OPTIONS["pool"], which the engine refuses',
        drivers=("psycopg",),
    ),
    Excuse(
        f"{_DJANGOS_POOL}test_connect_pool_with_timezone",
        'switches on Django\'s own pool with OPTIONS["pool"], which the engine refuses',
        drivers=("psycopg",),
    ),
    Excuse(
        f"{_DJANGOS_POOL}test_connect_pool_setting_ignored_for_psycopg2",
        'expects OPTIONS["pool"] to be refused in Django\'s words, which advise another driver; ours say to remove it',
        drivers=("psycopg2",),
    ),
    Excuse(
        f"{_DJANGOS_POOL}test_pool_check_can_be_overridden",
        "looks at an attribute of Django's own pool",
        drivers=("psycopg",),
    ),
    Excuse(
        f"{_DJANGOS_POOL}test_pooling_health_checks",
        "looks at an attribute of Django's own pool",
        drivers=("psycopg",),
    ),
    Excuse(
        f"{_DJANGOS_POOL}test_pooling_not_support_persistent_connections",
        "expects CONN_MAX_AGE to be refused, as Django's own pool does; here a system check warns of it",
        drivers=("psycopg",),
    ),
]


def excused(mode: str, driver: str) -> dict[str, str]:
    """Return the reasons by test, for a mode and a driver."""
    return {excuse.test: excuse.reason for excuse in EXCUSES if mode in excuse.modes and driver in excuse.drivers}
