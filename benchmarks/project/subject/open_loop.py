"""Jobs that come at a steady rate, whether or not others have ended: ``python -m subject.open_loop``.

BENCH_ARRIVALS in the environment, as JSON, has how many ``jobs`` come, how many of them a second (``rate``), the
``query_seconds`` of each one's query, and after how many ``seconds`` those that have not ended are given up. For each
job that ended, a line of JSON is printed: when it came and when the server began its query, in seconds after the first
came (null if it never did), and the class of its error. The server's clock is this machine's.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402

import django  # noqa: E402
import gevent  # noqa: E402

from subject import persistent  # noqa: E402

_ARRIVALS = json.loads(os.environ["BENCH_ARRIVALS"])
_QUERY = "SELECT extract(epoch FROM clock_timestamp())::float8, pg_sleep(%s)"


def main() -> None:
    """Let the jobs come, and print what became of them."""
    if os.environ.get("BENCH_PSYCOGREEN"):
        from psycogreen.gevent import patch_psycopg

        patch_psycopg()
    django.setup()
    run = persistent.Persistent(persistent.limit()).run if persistent.limit() else _run_and_close
    gevent.spawn(run, lambda _: _query(), 0).get()  # Modules are imported, and a pool is made.
    results: list[tuple[float, float | None, str]] = []
    start = time.time()

    def job(came: float) -> None:
        began, error = [], ""
        try:
            run(lambda _: began.append(_query()), 0)
        except Exception as raised:  # noqa: BLE001 (errors of all classes are counted)
            error = type(raised).__name__
        results.append((came, began[0] - start if began else None, error))

    jobs = []
    for number in range(_ARRIVALS["jobs"]):
        came = number / _ARRIVALS["rate"]
        time.sleep(max(0.0, start + came - time.time()))
        jobs.append(gevent.spawn(job, came))
    gevent.joinall(jobs, timeout=_ARRIVALS["seconds"])
    print("\n".join(json.dumps(result) for result in results), flush=True)
    # A greenlet that hangs must not keep the process from ending.
    os._exit(0)


def _query() -> float:
    """Run the query; return when the server began it."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_QUERY, [_ARRIVALS["query_seconds"]])
        return cursor.fetchone()[0]


def _run_and_close(work, number: int) -> None:
    from django.db import connections

    try:
        work(number)
    finally:
        # As Celery does for Django after each task.
        connections.close_all()


if __name__ == "__main__":
    main()
