"""Test suites of libraries with session state on our engine: ``python -m tests.library_suites --help``."""
