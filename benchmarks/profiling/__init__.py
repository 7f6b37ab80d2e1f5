"""Where the time of a task goes, by a sampling profiler: ``python -m benchmarks profile --help``."""
