"""What breaks pools, and what each of them does then: ``python -m benchmarks faults``."""
