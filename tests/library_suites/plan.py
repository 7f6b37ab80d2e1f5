"""The plan: whose suites run, and how each wants to be run."""

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
