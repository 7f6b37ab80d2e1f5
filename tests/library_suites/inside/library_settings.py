"""The settings of a library's own tests, with the databases on another engine."""

import importlib
import json
import os

_suite = json.loads(os.environ["LIBRARY_SUITE"])
_settings = importlib.import_module(_suite["settings"])
globals().update({name: value for name, value in vars(_settings).items() if name.isupper()})

for _database in _settings.DATABASES.values():
    if _database["ENGINE"] == _suite["stock"]:
        _database["ENGINE"] = _suite["engine"]
    elif "sqlite" in _database["ENGINE"]:
        continue
    _database["OPTIONS"] = {**_database.get("OPTIONS", {}), **_suite["options"]}

# What engines of others are told to derive from.
ORIGINAL_BACKEND = POSTGRES_EXTRA_DB_BACKEND_BASE = _suite["engine"]
