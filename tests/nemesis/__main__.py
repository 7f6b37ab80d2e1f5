"""A fleet meets a nemesis: ``python -m tests.nemesis``. Real processes share a role's limit, and everything breaks.

For NEMESIS_SECONDS (60), workers are killed and stopped, the server is restarted, its standby promoted, the network
frozen and cut, and the limit changed, at times that follow from a seed, which is printed: ``--seed`` repeats it. The
exit status is the sum of the laws that were broken: 1 for the bound on the server, 2 for a worker that did nothing for
too long, 4 for errors that no fault explains, 8 if the fleet didn't recover, 16 if workers didn't end well.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter

from benchmarks.fleet.scenarios import Shape
from tests.launcher import DRIVERS, FRAMEWORKS

from .arena import QUIET, Arena
from .faults import plan_faults
from .laws import Evidence, Law, Problem, judge

_SHAPE = "6x6@18"
_LEAST_SECONDS = 30.0
_PROBLEMS_SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.nemesis", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--framework", choices=FRAMEWORKS, default="gevent")
    parser.add_argument("--driver", choices=DRIVERS, default="psycopg2")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("NEMESIS_SECONDS", "60")))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--shape", type=Shape.parse, default=Shape.parse(_SHAPE), metavar="NxM@L", help=_SHAPE)
    parser.add_argument("--without-standby", action="store_true", help="promote none")
    options = parser.parse_args()
    if options.seconds < _LEAST_SECONDS:
        parser.error(f"--seconds: must be at least {_LEAST_SECONDS:g}")
    print(f"{options.shape}, {options.framework}, {options.driver}, {options.seconds:g} s, --seed {options.seed}")
    faults = plan_faults(
        options.seed,
        options.seconds - QUIET,
        workers=options.shape.workers,
        with_standby=not options.without_standby,
    )
    arena = Arena(
        options.shape,
        options.seconds,
        framework=options.framework,
        driver=options.driver,
        with_standby=not options.without_standby,
        seed=options.seed,
    )
    with arena:
        evidence = arena.run(faults)
    problems = judge(evidence)
    report(evidence, problems)
    if problems:
        print(f"Again with --seed {options.seed} --seconds {options.seconds:g}")
    return sum({law for law, _ in problems})


def report(evidence: Evidence, problems: list[Problem]) -> None:
    kinds = Counter(fault.kind for fault in evidence.faults)
    outcomes = Counter(task.error or "done" for task in evidence.tasks if task.ended is not None)
    print(f"\nfaults: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}")
    print(f"tasks: {', '.join(f'{count} {outcome}' for outcome, count in outcomes.most_common())}")
    share = evidence.figures.least_share
    print(
        f"{len(evidence.samples)} samples of the sessions, {max(sample.total for sample in evidence.samples)} at the "
        f"most; at the end {evidence.figures.throughput:.2f} of the possible, least share {share or 0:.2f}"
    )
    for law, problem in problems[:_PROBLEMS_SHOWN]:
        print(f"PROBLEM {Law(law).name}: {problem}")
    if len(problems) > _PROBLEMS_SHOWN:
        print(f"... and {len(problems) - _PROBLEMS_SHOWN} more")
    if not problems:
        print("The fleet kept to its laws.")


if __name__ == "__main__":
    sys.exit(main())
