"""What a task costs when ten thousand wait: ``python -m benchmarks growth``."""
