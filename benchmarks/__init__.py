"""Benchmarks of the pool and its peers, side by side: ``python -m benchmarks --help``. Not distributed."""
