"""What turns the driver's errors into Django's."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from django.db.utils import DatabaseErrorWrapper

from ..drivers.base import note_error


class ErrorWrapper(DatabaseErrorWrapper):
    """Django's own, which also has a connection know what its server has refused."""

    wrapper: Any

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        lease = self.wrapper.pool
        if isinstance(exc_value, Exception) and lease is not None:
            note_error(lease.connection, exc_value)
        if exc_value is not None:
            super().__exit__(exc_type, exc_value, traceback)
