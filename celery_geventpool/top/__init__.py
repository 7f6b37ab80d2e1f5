"""``celery -A proj geventpool top``: the pools of all workers at a glance."""
