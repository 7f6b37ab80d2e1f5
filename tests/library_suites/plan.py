"""The plan: whose suites run, how each wants to be run, and which of their tests can't pass."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """A library whose checkout has its tests.

    Paths are relative to the checkout.
    """

    #: The module of its tests' settings.
    settings: str
    #: The folder of the tests.
    tests: str
    #: The folder of its test project, where that isn't the checkout itself.
    project: str = "."


#: By the name of the repository, and of the folder that has its checkout.
LIBRARIES = {
    "django-pglock": Library("settings", "pglock/tests"),
    "django-pgactivity": Library("settings", "pgactivity/tests"),
    "django-pgpubsub": Library("settings", "pgpubsub/tests"),
    "django-pghistory": Library("settings", "pghistory/tests"),
    "django-pgtrigger": Library("test_settings", "pgtrigger/tests"),
    "django-tenants": Library("dts_test_project.settings", "django_tenants/tests", project="dts_test_project"),
}

_LAST_STATEMENT = (
    "reads in pg_stat_activity what a task executed last, while the task does something else: by then the session has "
    "served another"
)

#: Tests that pass on Django's own engine and can't pass in mode "transaction", with the reason. One that passes
#: nevertheless has to leave the list.
_EXCUSED_PER_TRANSACTION = {
    "pgactivity.tests.test_management.test_basic_usage": _LAST_STATEMENT,
    "pgactivity.tests.test_middleware.test_middleware": _LAST_STATEMENT,
}


def excused(mode: str) -> dict[str, str]:
    """Return the tests that can't pass in a mode, with the reasons."""
    return _EXCUSED_PER_TRANSACTION if mode == "transaction" else {}
