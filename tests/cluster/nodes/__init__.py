"""pytest-celery's nodes: brokers, result backends and workers, as local processes or in Docker."""
