"""Telling OSErrors of the system from those that user code has raised out of a wait."""

from __future__ import annotations

import contextlib
from types import TracebackType


class Suppress(contextlib.suppress):
    """A ``contextlib.suppress`` for errors of the driver or the system only.

    An OSError without a number is not the system's: user code has made it, to be raised out of a wait.
    """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return not is_foreign(error) and bool(super().__exit__(kind, error, trace))


def is_foreign(error: BaseException | None) -> bool:
    """Return whether an error is an OSError that does not come from the system."""
    return isinstance(error, OSError) and error.errno is None
