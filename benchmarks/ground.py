"""What all contenders use: the server with its table, the monitor, the environments."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.pgbouncer import PgBouncer
from servers.postgres import PostgresServer

from .contenders import Contender
from .environments import Environments
from .monitor import ConnectionMonitor
from .results import Plan
from .workloads import CONCURRENCY, Workload

_DATABASE = "bench"
_ROWS = 1000
# Enough for contenders that have no limit, or don't keep theirs.
_MAX_CONNECTIONS = 500

_TABLE = f"""
    CREATE TABLE rows (id bigint PRIMARY KEY, name varchar(100) NOT NULL, number integer NOT NULL)
        WITH (fillfactor = 50);
    INSERT INTO rows SELECT id, 'row ' || id, 0 FROM generate_series(1, {_ROWS}) AS id;
    GRANT ALL ON rows TO PUBLIC
"""


@dataclass(frozen=True)
class Ground:
    """The servers, and what starts a contender's process."""

    server: PostgresServer
    monitor: ConnectionMonitor
    environments: Environments
    pgbouncer: str | None

    @contextmanager
    def environment_for(
        self, contender: Contender, plans: Mapping[str, Plan], concurrency: int = CONCURRENCY
    ) -> Iterator[dict[str, str]]:
        """Yield the environment variables of a contender's process, while the pooler that it needs runs.

        There is no connection before and after, so that all that the monitor counts are the contender's.
        """
        self.monitor.wait_for_none()
        self.monitor.reset()
        with ExitStack() as stack:
            address = {"HOST": self.server.host, "PORT": self.server.port}
            variables = dict(os.environ)
            if contender.through_pgbouncer:
                assert self.pgbouncer is not None
                dsn = self.server.dsn.copy()
                dsn["dbname"] = _DATABASE
                pooler = stack.enter_context(
                    PgBouncer(dsn, pool_mode="transaction", size=contender.limit or _MAX_CONNECTIONS)
                )
                address["PORT"] = pooler.port
                variables["BENCH_POOLER_PID"] = str(pooler.pid)
            if contender.needs_psycogreen:
                variables["BENCH_PSYCOGREEN"] = "1"
            if contender.is_persistent:
                variables["BENCH_PERSISTENT"] = str(contender.limit)
            if contender.only_switches:
                variables["BENCH_ONLY_SWITCHES"] = str(contender.limit)
            if contender.has_greenlet_per_task:
                variables["BENCH_GREENLET_PER_TASK"] = "1"
            database: dict[str, Any] = {
                "ENGINE": contender.engine,
                "NAME": _DATABASE,
                "USER": self.server.user,
                **address,
                **contender.database,
            }
            yield {
                **variables,
                "BENCH_APPS": json.dumps(contender.apps),
                "BENCH_CONCURRENCY": str(concurrency),
                "BENCH_DATABASE": json.dumps(database),
                "BENCH_PLANS": json.dumps({name: vars(plan) for name, plan in plans.items()}),
                "DJANGO_SETTINGS_MODULE": "subject.settings",
                "PYTHONPATH": self.environments.python_path,
            }


@contextmanager
def prepared(environments: Environments, pgbouncer: str | None) -> Iterator[Ground]:
    """Start the servers and fill the table; at the end, stop and remove everything."""
    with ExitStack() as stack:
        # In UTC, Django need not set the time zone of each new connection. Vacuuming could disturb any measurement.
        server = PostgresServer(max_connections=_MAX_CONNECTIONS, timezone="UTC", autovacuum=False)
        stack.enter_context(server)
        server.query(f"CREATE DATABASE {_DATABASE} OWNER {server.user}")
        server.query(_TABLE, dbname=_DATABASE)
        server.query("VACUUM ANALYZE rows", dbname=_DATABASE)
        monitor = stack.enter_context(ConnectionMonitor(server.dsn, _DATABASE))
        yield Ground(server, monitor, environments, pgbouncer)


def make_plan(workload: Workload, tasks: int) -> Plan:
    """Return how many tasks to run so that about ``tasks`` of them are measured."""
    return Plan(warm_up=2 * CONCURRENCY, tasks=max(1, round(tasks * workload.share)), cool_down=CONCURRENCY)


def timeout_for(plan: Plan) -> float:
    """Return after how many seconds tasks that have not ended are given up."""
    return 30 + plan.total / 20


def last_line(path: Path) -> str:
    """Return the last line of a log, which has an error's message."""
    lines = path.read_text(errors="replace").split("\n") if path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
