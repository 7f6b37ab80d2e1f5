"""How long jobs wait when twice as many come as can be served: ``python -m benchmarks fairness``."""
