"""The use by task of all processes of a worker, those that have ended included, so that no number ever falls."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .. import by_task

#: One pool of one process: alias and process id.
_PoolKey = tuple[str, int]
_NOW: Mapping[str, Any] = {"in_use": 0, "waiting": 0, "longest_held": 0.0}


class TotalsByTask:
    """Adds up what the pools of a worker have counted.

    Prefork's children come and go, each with pools that count from zero. Were only those that live added up, the sums
    would fall at each end, and a rate would take that for a new beginning.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: The last answer of each pool.
        self._last: dict[_PoolKey, Mapping[str, Any]] = {}
        #: What pools that are gone had counted.
        self._gone: dict[str, list[by_task.Use]] = {}

    def add(
        self, pools: Iterable[Mapping[str, Any]], silent: Collection[int] = ()
    ) -> dict[tuple[str, str], by_task.Use]:
        """Return the use by alias and task, given the answers of the pools that there are now.

        :param silent: the ids of processes that live, but didn't answer this time: their last answers hold.
        """
        with self._lock:  # Pages may be asked for at the same time.
            return self._add(pools, silent)

    def _add(self, pools: Iterable[Mapping[str, Any]], silent: Collection[int]) -> dict[tuple[str, str], by_task.Use]:
        answers = {(pool["alias"], pool["pid"]): pool for pool in pools}
        for key, before in list(self._last.items()):
            now = answers.get(key, before if key[1] in silent else None)
            if now is None or now["checkouts"] < before["checkouts"]:
                self._keep(before)
                del self._last[key]
        self._last.update(answers)
        gone = [{"alias": alias, "use_by_task": uses} for alias, uses in self._gone.items()]
        merged = by_task.merged([*gone, *self._last.values()])
        return {(alias, use["task"]): use for alias, uses in merged.items() for use in uses}

    def _keep(self, pool: Mapping[str, Any]) -> None:
        alias = pool["alias"]
        ended = [{**use, **_NOW} for use in pool["use_by_task"]]
        both = [{"alias": alias, "use_by_task": self._gone.get(alias, [])}, {"alias": alias, "use_by_task": ended}]
        self._gone[alias] = by_task.merged(both)[alias]
