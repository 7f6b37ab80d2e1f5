"""What only the server knows of a session: whether it has advisory locks, and which settings were set back."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Outside of a transaction, all of them are the session's.
HAS_ADVISORY_LOCK = (
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid())"
)

#: The name of a setting of the server's own.
_NAME = re.compile(r"[a-z0-9_]+")


def settings_set_back(names: Iterable[str]) -> str:
    """Return SQL that selects which of some settings are as RESET would set them, as one text of names.

    It is empty if the server knows none of them.

    :param names: in lower case. Those with a dot are of others, and the server doesn't list them.
    """
    listed = ", ".join(f"'{name}'" for name in sorted(names) if _NAME.fullmatch(name))
    return listed and (
        "SELECT pg_catalog.string_agg(pg_catalog.lower(name), ' ') FROM pg_catalog.pg_settings "
        f"WHERE pg_catalog.lower(name) IN ({listed}) AND setting = reset_val"
    )
