"""Runs the tests: ``python -m tests.run SUITE [--framework NAME] [--driver NAME] [pytest args]``.

SUITE is one of the folders, or `all` of them but `faults`, `libraries`, `docs` and `browser`: `unit`, `simulation`,
`servers`, `smoke`, `cluster`, `web`, `docs` and `browser` run in a plain process, `smoke` in three parts; `contract`
runs once per framework (gevent, eventlet, threads), the others once per framework and installed driver (psycopg2,
psycopg); four of these runs go on at the same time, or TEST_JOBS of them. With `--framework` the suite runs once, in
this very process, which is monkey-patched for that framework before anything else is imported; `--driver` chooses the
driver, which is otherwise Django's pick.
"""

import sys
import warnings


def patch(framework: str) -> None:
    """Monkey-patch this process for ``framework``."""
    if framework == "gevent":
        from gevent import monkey

        monkey.patch_all()
    elif framework == "eventlet":
        warnings.filterwarnings("ignore", "\nEventlet is deprecated")
        import eventlet

        eventlet.monkey_patch()


def framework_of(arguments: list[str]) -> str:
    """Return the value of --framework, without argparse, which should be imported after patching."""
    for index, argument in enumerate(arguments):
        if argument == "--framework":
            return "".join(arguments[index + 1 : index + 2])
        if argument.startswith("--framework="):
            return argument.partition("=")[2]
    return ""


if __name__ == "__main__":
    patch(framework_of(sys.argv[1:]))

    from tests.launcher import main

    sys.exit(main(sys.argv[1:]))
