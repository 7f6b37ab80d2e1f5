"""Runs simulated worlds: ``python -m tests.simulation --seed N [--steps M]`` repeats one that has failed."""

from __future__ import annotations

import argparse
import sys
import time

from .run import STEPS, Failure, simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, required=True, help="the first of the seeds")
    parser.add_argument("--steps", type=int, default=STEPS, help="how many steps with faults (%(default)s)")
    parser.add_argument("--worlds", type=int, default=1, help="how many seeds (%(default)s)")
    options = parser.parse_args()
    failed = 0
    for seed in range(options.seed, options.seed + options.worlds):
        begin = time.process_time()
        try:
            outcome = simulate(seed, options.steps)
        except Failure as failure:
            failed += 1
            print(failure, flush=True)
        else:
            print(f"seed {seed}: {outcome}, {time.process_time() - begin:.1f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
