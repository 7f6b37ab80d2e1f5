"""Whose an error is: the system's, or of somebody who has had it raised out of a wait."""

from __future__ import annotations

import contextlib
from types import TracebackType


class Suppress(contextlib.suppress):
    """Suppresses errors of the driver or the system.

    An OSError without a number is none of the system's: somebody has made it to be raised out of a wait of his.
    """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return not is_foreign(error) and bool(super().__exit__(kind, error, trace))


def is_foreign(error: BaseException | None) -> bool:
    """Tell whether an OSError does not come from the system."""
    return isinstance(error, OSError) and error.errno is None
