"""What a pool's sessions say of it to the other pools of the fleet, at the end of their ``application_name``."""

from __future__ import annotations

import os
import re
import secrets
import socket
from dataclasses import dataclass

#: How long an ``application_name`` may be (bytes, and characters of ASCII): the server cuts off the rest.
LONGEST = 63

#: Highest limit and demand that are told; more counts as this.
_MOST = 99999
#: Sequence numbers begin anew here; at two looks a second that takes 34 years.
_SEQUENCES = 36**6
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LENGTH_OF_TOKEN = 6
#: The host's name is cut off here, so that it leaves room for the user's own text.
_LONGEST_HOST = 20

_BADGE = re.compile(r"~([0-9a-z]{6})\.([1-9][0-9]{0,4})\.([0-9]{1,5})\.([0-9a-z]{1,6})\Z", re.ASCII)
_NOT_PLAIN = re.compile(r"[^ -~]")


@dataclass(frozen=True)
class Badge:
    """What one pool says of itself: ``~k3x9fa.10.4.1z``."""

    #: Tells pools apart.
    token: str
    #: MAX_CONNS.
    limit: int
    #: How many connections it could use, at the most its limit.
    demand: int
    #: Of the sessions of a pool, the one with the highest number says what holds.
    sequence: int

    def __str__(self) -> str:
        limit, demand = min(self.limit, _MOST), min(self.demand, self.limit, _MOST)
        return f"~{self.token}.{limit}.{demand}.{_base36(self.sequence % _SEQUENCES)}"


def new_token() -> str:
    """Return a token that no other pool has; forked processes don't draw the same."""
    return "".join(secrets.choice(_DIGITS) for _ in range(_LENGTH_OF_TOKEN))


def read(application_name: str) -> Badge | None:
    """Return the badge at the end of a session's name; None if there is none."""
    found = _BADGE.search(application_name)
    if found is None:
        return None
    limit = int(found[2])
    return Badge(found[1], limit, min(int(found[3]), limit), int(found[4], 36))


def application_name(own: str, badge: str) -> str:
    """Return the name of a session, in LONGEST characters at the most.

    :param own: the user's own text. It stays in front, and is cut off before the badge is.
    :param badge: what ``Badge`` writes.
    """
    plain = _NOT_PLAIN.sub("?", own)
    room = LONGEST - len(badge) - 1
    process = process_name()
    texts = [plain, process] if plain and len(plain) + 1 + len(process) <= room else [plain or process]
    return f"{' '.join(texts)[:room].rstrip()} {badge}"


def renamed(name: str, badge: str) -> str | None:
    """Return a session's name with another badge of the same pool; None if the name has none, as it is a holder's."""
    found = _BADGE.search(name)
    token, told = (None, None) if found is None else (found[1], read(badge))
    if found is None or told is None or token != told.token:
        return None
    return f"{name[: found.start()].rstrip()[: LONGEST - len(badge) - 1]} {badge}".lstrip()


def process_name() -> str:
    """Return host and process id, as operators tell processes apart."""
    host = _NOT_PLAIN.sub("?", socket.gethostname().partition(".")[0])[:_LONGEST_HOST]
    return f"{host}:{os.getpid()}"


def _base36(number: int) -> str:
    digits = ""
    while number or not digits:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
