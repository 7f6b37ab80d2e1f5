"""How a fleet of processes shares the server's limit: ``python -m benchmarks fleet``."""
