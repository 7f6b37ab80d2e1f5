"""Markers select the tests of a run; see tests/support/selection.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.selection import Mark, is_meant, marks_of_module
from tests.support.tasks import FRAMEWORK


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ([], True),
        ([("parametrize", ("name", "values"))], True),
        ([("frameworks", (FRAMEWORK,))], True),
        ([("frameworks", ("gevent", "eventlet"))], False),
        ([("imports", ("json", "celery"))], True),
        ([("imports", ("json", "no_such_module"))], False),
        ([("imports", ("json",)), ("frameworks", ("gevent",))], False),
    ],
)
def test_every_marker_has_to_be_met(marks: list[Mark], expected: bool) -> None:
    assert is_meant(marks) is expected


@pytest.mark.parametrize("mark", [("frameworks", ("gvent",)), ("driver", ("psycopg3",))])
def test_a_name_that_nobody_knows_is_no_way_to_leave_tests_out(mark: Mark) -> None:
    with pytest.raises(ValueError, match=r"a marker names (gvent|psycopg3), which is none of"):
        is_meant([mark])


def test_markers_are_read_without_importing_the_module(tmp_path: Path) -> None:
    module = tmp_path / "test_module.py"
    module.write_text(
        "import no_such_module\n"
        "pytestmark = [MODES, pytest.mark.frameworks('gevent', 'eventlet'), pytest.mark.driver('psycopg')]\n"
    )
    assert list(marks_of_module(module)) == [("frameworks", ("gevent", "eventlet")), ("driver", ("psycopg",))]
    module.write_text("pytestmark = pytest.mark.usefixtures('installed')\n")
    assert list(marks_of_module(module)) == []
