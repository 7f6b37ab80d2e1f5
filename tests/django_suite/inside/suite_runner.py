"""Django's test runner, extended to write the outcome of each test to a file."""

from __future__ import annotations

import json
import pickle
import traceback
import unittest
from pathlib import Path
from typing import Any

from django.conf import settings
from django.test.runner import DiscoverRunner, ParallelTestSuite, RemoteTestResult, RemoteTestRunner


class RecordingResult(unittest.TextTestResult):
    """Records outcomes by test id. In a parallel run, Django calls it in the parent process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outcomes: dict[str, str] = {}

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().addSuccess(test)
        # Not final: Django tears the test down after this, which may fail.
        self.outcomes[test.id()] = "passed"

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self.outcomes[test.id()] = "skipped"

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addExpectedFailure(test, err)
        self.outcomes[test.id()] = "failed as expected"

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self.outcomes[test.id()] = "failed"

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self.outcomes[test.id()] = "failed"

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        self.outcomes[test.id()] = "failed"

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.outcomes[test.id()] = "failed"


class SafeRemoteResult(RemoteTestResult):
    """Sends errors that can't be pickled as text; with Django's own class, one would end the whole run."""

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addError(test, picklable(err))

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addFailure(test, picklable(err))


def picklable(error: Any) -> Any:
    """Return the same ``sys.exc_info()``, or one with the same text that can be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  a class of Django's tests may raise anything
        text = "".join(traceback.format_exception(*error, limit=-10))
        return RuntimeError, RuntimeError(f"Of an error that can't be pickled:\n{text}"), None
    return error


class SafeRemoteRunner(RemoteTestRunner):
    resultclass = SafeRemoteResult


class SafeParallelSuite(ParallelTestSuite):
    runner_class = SafeRemoteRunner


class RecordingRunner(DiscoverRunner):
    parallel_test_suite = SafeParallelSuite

    def get_resultclass(self) -> type[unittest.TextTestResult]:
        return RecordingResult

    def suite_result(self, suite: unittest.TestSuite, result: RecordingResult, **kwargs: Any) -> int:
        Path(settings.OUTCOMES_FILE).write_text(json.dumps(result.outcomes))
        return super().suite_result(suite, result, **kwargs)
