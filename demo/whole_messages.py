"""Makes Celery's filesystem broker safe for clients that ask workers while these work."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport.filesystem import Channel
from kombu.utils.json import dumps


def deliver_whole_messages() -> None:
    """Let kombu's filesystem transport, in this process, show each message only when it is completely written.

    By itself it writes in place, and a worker that reads half of a message ends.
    """

    def put(channel: Channel, queue: str, payload: Any, **_kwargs: Any) -> None:
        # Receivers sort the names, so the first part is the time.
        name = f"{time.monotonic_ns():020}_{uuid.uuid4()}"
        unfinished = Path(channel.data_folder_out, f"{name}.unfinished")
        unfinished.write_text(dumps(payload))
        unfinished.rename(unfinished.with_name(f"{name}.{queue}.msg"))

    transport: Any = Channel
    transport._put = put  # noqa: SLF001  kombu's transports define it
