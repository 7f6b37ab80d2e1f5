"""The options in a database's settings: the pool's, separated from the driver's."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidOption
from ..text import show
from . import foreign
from .declared import NAMES, PoolOptions
from .kinds import from_text


def split(options: object) -> tuple[PoolOptions, dict[str, Any]]:
    """Split ``DATABASES[alias]["OPTIONS"]`` into the pool's options and the driver's.

    :raises InvalidOption: for anything but a dictionary, for an upper-case name that the pool doesn't know, and for
        what PoolOptions refuses.
    """
    if not isinstance(options, Mapping):
        raise InvalidOption(f"OPTIONS must be a dictionary, not {show(options)}.")
    ours = {name: from_text(value) for name, value in options.items() if str(name).isupper()}
    for name, value in ours.items():
        if name not in NAMES:
            raise InvalidOption(_unknown(name, value))
    driver = {name: value for name, value in options.items() if name not in ours}
    if driver.get("pool"):
        theirs = foreign.in_place_of(driver["pool"])
        raise InvalidOption(
            'OPTIONS["pool"] switches on Django\'s own pool, which can\'t work beside this engine\'s: remove "pool", '
            f"and set MAX_CONNS and the like instead{theirs and ': '}{theirs}."
        )
    return PoolOptions(**ours), driver


def _unknown(name: str, value: object) -> str:
    hint = foreign.meant(name, value)
    if hint is None:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the pool's options are {', '.join(sorted(NAMES))}."
    return f"Unknown pool option {name}: {hint}"
