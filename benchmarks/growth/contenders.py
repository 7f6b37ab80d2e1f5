"""What is measured here beside the contenders: floors, which say how much would grow without any pool."""

from __future__ import annotations

from ..contenders import CONTENDERS as POOLS
from ..contenders import LIMIT, Contender

_DJANGO = "django.db.backends.postgresql"

FLOORS = (
    Contender(
        "switches",
        f"floor: no database, {LIMIT} at a time switch to the hub",
        "bound",
        _DJANGO,
        has_greenlet_per_task=True,
        only_switches=True,
    ),
    Contender(
        "bare",
        f"floor: {LIMIT} connections, a queue in Django's connect",
        "bound",
        "subject.bare",
        database={"SIZE": LIMIT},
        needs_psycogreen=True,
    ),
)

CONTENDERS = (*FLOORS, *POOLS)
