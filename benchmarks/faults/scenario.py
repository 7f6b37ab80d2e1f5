"""What a scenario is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .findings import Finding
from .stage import Stage


@dataclass(frozen=True)
class Setting:
    """What a scenario needs."""

    #: Of a Celery worker; None for a process without Celery.
    concurrency: int | None = None
    #: Whether a proxy stands before the server.
    has_network: bool = False
    #: Whether the server has a standby.
    has_standby: bool = False
    #: Whether the first of the server's two addresses is one that takes connections and never answers.
    has_dead_host: bool = False
    #: Whether the server has a name, which the process asks a name server for that never answers.
    has_silent_names: bool = False
    #: Whether the results of tasks go to the database.
    stores_results: bool = False


@dataclass(frozen=True)
class Scenario:
    """One of them."""

    name: str
    title: str
    #: What is done, and what is right, as sentences.
    what: str
    right: str
    play: Callable[[Stage], Iterator[Finding]]
    setting: Setting = Setting()
