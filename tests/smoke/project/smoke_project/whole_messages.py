"""Makes Celery's filesystem broker safe for clients and workers that send and receive at the same time."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport.filesystem import Channel
from kombu.utils.json import dumps


def deliver_whole_messages() -> None:
    """Let kombu's filesystem transport, in this process, show each message only when it is completely written.

    By itself, it creates a message's file where receivers look, and then writes it; a worker that finds it empty ends.
    """

    def put(channel: Channel, queue: str, payload: Any, **_kwargs: Any) -> None:
        # Receivers sort the names, so the first part is the time.
        name = f"{time.monotonic_ns():020}_{uuid.uuid4()}"
        unfinished = Path(channel.data_folder_out, f"{name}.unfinished")
        unfinished.write_text(dumps(payload))
        unfinished.rename(unfinished.with_name(f"{name}.{queue}.msg"))

    Channel._put = put  # noqa: SLF001  kombu's transports define it
