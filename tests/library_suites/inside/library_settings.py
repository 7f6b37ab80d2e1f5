"""The settings of a library's own tests, with the databases on another engine."""

import importlib
import json
import os

_suite = json.loads(os.environ["LIBRARY_SUITE"])
globals().update(
    {name: value for name, value in vars(importlib.import_module(_suite["settings"])).items() if name.isupper()}
)

for _database in DATABASES.values():  # type: ignore[name-defined]  # noqa: F821
    if _database["ENGINE"] == _suite["stock"]:
        _database["ENGINE"] = _suite["engine"]
    elif "sqlite" in _database["ENGINE"]:
        continue
    _database["OPTIONS"] = {**_database.get("OPTIONS", {}), **_suite["options"]}

# The names by which engines of others are told what to derive from.
ORIGINAL_BACKEND = POSTGRES_EXTRA_DB_BACKEND_BASE = _suite["engine"]
