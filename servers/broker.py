"""A broker for Celery in plain folders: nothing to install, nothing to run."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

# How long the transport pauses after it found its folders empty (seconds); its default is a second.
_POLLING_INTERVAL = 0.05


class FilesystemOptions(TypedDict):
    """The options of kombu's filesystem transport that are set here."""

    data_folder_in: str
    data_folder_out: str
    processed_folder: str
    control_folder: str
    store_processed: bool
    polling_interval: float


class FilesystemBroker(TypedDict):
    """Settings of Celery, for ``app.conf.update(filesystem_broker(folder))``."""

    broker_url: str
    broker_transport_options: FilesystemOptions


def filesystem_broker(folder: Path) -> FilesystemBroker:
    """Create a broker's folders below ``folder``, and return Celery's settings for them, for clients and workers alike.

    Tasks, events, remote control (``inspect``, ``control``, ``ping``) and its replies work.
    """
    messages = folder / "messages"
    # The transport takes a message by moving it here before it reads it. With store_processed off, it would move it to
    # the system's folder for temporary files, which may be a copy.
    processed = folder / "processed"
    control = folder / "control"
    for path in (messages, processed, control):
        path.mkdir(parents=True, exist_ok=True)
    return FilesystemBroker(
        broker_url="filesystem://",
        broker_transport_options=FilesystemOptions(
            data_folder_in=str(messages),
            data_folder_out=str(messages),
            processed_folder=str(processed),
            control_folder=str(control),
            store_processed=True,
            polling_interval=_POLLING_INTERVAL,
        ),
    )
