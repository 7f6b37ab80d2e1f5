"""Which addresses to connect to, one after the other.

libpq looks names up in C, where a silent name server blocks every greenlet. And a caller that waits for the socket, as
greenlets do, must itself give up a host that doesn't answer. So each address is a connect of its own, with its name
looked up by Python, which the active framework has made green. What libpq decides over several hosts is decided here.
"""

from __future__ import annotations

import functools
import ipaddress
import itertools
import random
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from .server import is_login_refused

C = TypeVar("C")

#: libpq's shortest timeout, in seconds.
_LEAST_TIMEOUT = 2


class Host(NamedTuple):
    """One of the hosts to try, in libpq's words; "" for what is not given."""

    host: str
    hostaddr: str
    port: str


def connect_timeout(settings: Mapping[str, Any]) -> float | None:
    """Return the seconds that a connect to one address may take; None for as long as it takes."""
    try:
        seconds = int(settings.get("connect_timeout") or 0)
    except (OverflowError, ValueError):
        return None  # libpq will say what is wrong with it.
    return max(seconds, _LEAST_TIMEOUT) if seconds > 0 else None


def connect(
    parameters: Mapping[str, Any],
    settings: Mapping[str, Any],
    connect_to: Callable[[dict[str, Any]], C],
    error_class: type[Exception],
) -> C:
    """Connect to the first address that takes us.

    :param parameters: what the user has given, which may be less than what libpq goes by.
    :param settings: what libpq goes by, with those of a service, the environment and its defaults.
    :param connect_to: connects with the parameters for one address.
    :param error_class: what it raises when that fails.
    :raises error_class: when no address takes us, with what each has said.
    """
    errors: list[Exception] = []

    def record_unknown(message: str) -> None:
        errors.append(error_class(message))

    for attempt in attempts(parameters, settings, record_unknown):
        try:
            return connect_to(attempt)
        except error_class as error:  # noqa: PERF203  it is what happens
            errors.append(error)
            if is_login_refused(str(error)):
                break  # As libpq does.
    last = errors[-1]
    try:
        raise last if len(errors) == 1 else type(last)("\n".join(str(error).strip() for error in errors))
    finally:
        # The raised error refers to this frame: if that referred to errors, it would be a cycle.
        errors.clear()
        del last


def attempts(
    parameters: Mapping[str, Any], settings: Mapping[str, Any], record_unknown: Callable[[str], object]
) -> Iterator[dict[str, Any]]:
    """Yield the parameters of one connect after the other, each to one address.

    Names are looked up when it is their turn.

    :param record_unknown: called with a message for each name that has no address.
    """
    hosts = _hosts(settings)
    if not any(host.host or host.hostaddr for host in hosts):
        yield dict(parameters)  # libpq connects to its default, or complains.
        return
    is_random = settings.get("load_balance_hosts") == "random"
    if is_random:
        random.shuffle(hosts)
    look_up = functools.cache(functools.partial(_look_up, is_random=is_random, record_unknown=record_unknown))
    # As libpq does it: first all hosts for a standby, then all for any server.
    wanted = ("standby", "any") if settings.get("target_session_attrs") == "prefer-standby" else (None,)
    for attributes, host in itertools.product(wanted, hosts):
        for address in [host.hostaddr] if host.hostaddr or _is_no_name(host.host) else look_up(host.host):
            attempt = {**parameters, "host": host.host, "hostaddr": address, "port": host.port}
            if attributes is not None:
                attempt["target_session_attrs"] = attributes
            yield attempt


def _is_no_name(host: str) -> bool:
    """Return whether this is an address, or the path of a Unix socket."""
    if host.startswith(("/", "@")) or not host:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(name: str, is_random: bool, record_unknown: Callable[[str], object]) -> list[str]:
    """Return the addresses of a host, in the order of the system's preference."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:  # UnicodeError is for what can't be a name.
        record_unknown(
            f'could not translate host name "{name}" to address: {getattr(error, "strerror", None) or error}'
        )
        return []
    addresses = list(dict.fromkeys(str(where[0]) for *_, where in found))
    if is_random:
        random.shuffle(addresses)
    return addresses


def _hosts(settings: Mapping[str, Any]) -> list[Host]:
    """Return the hosts in the order in which they are given; none if their numbers don't match."""
    names, addresses, ports = (str(settings.get(name) or "").split(",") for name in Host._fields)
    given = addresses if addresses != [""] else names
    names, addresses = (part * len(given) if part == [""] else part for part in (names, addresses))
    if len(ports) == 1:
        ports *= len(given)
    if not len(names) == len(addresses) == len(ports):
        return []
    return [Host(*parts) for parts in zip(names, addresses, ports, strict=True)]
