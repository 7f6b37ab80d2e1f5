"""Which addresses to connect to, one after the other.

libpq looks names up in C, where a silent name server blocks every greenlet. And a caller that waits for the socket, as
greenlets do, must itself give up a host that doesn't answer. So each address is a connect of its own, with its name
looked up by Python, which the active framework has made green. What libpq decides over several hosts is decided here.
Those that did not answer a moment ago come last (``dead_hosts.py``).
"""

from __future__ import annotations

import functools
import ipaddress
import itertools
import random
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from .dead_hosts import DeadHosts
from .patience import Attempt
from .server import is_full, is_login_refused

C = TypeVar("C")

#: libpq's shortest timeout, in seconds.
_LEAST_TIMEOUT = 2


#: The parameters that say where to connect to.
WHERE = frozenset(
    (
        "service",
        "servicefile",
        "conninfo",
        "dsn",
        "host",
        "hostaddr",
        "port",
        "target_session_attrs",
        "load_balance_hosts",
    )
)


class Host(NamedTuple):
    """One of the hosts to try, in libpq's words; "" for what is not given."""

    host: str
    hostaddr: str
    port: str


class _Target(NamedTuple):
    """One address of a host, for one connect."""

    address: Host
    #: The "target_session_attrs"; None for those that are given.
    attributes: str | None
    #: Whether there are other addresses.
    has_others: bool

    def complete(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of a connect to this address."""
        complete = {**parameters, **self.address._asdict()}
        if self.attributes is not None:
            complete["target_session_attrs"] = self.attributes
        return complete


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
    connect_to: Callable[[dict[str, Any], Attempt], C],
    error_class: type[Exception],
    dead_hosts: DeadHosts,
) -> C:
    """Connect to the first address that takes us.

    :param parameters: what the user has given, which may be less than what libpq goes by.
    :param settings: what libpq goes by, with those of a service, the environment and its defaults.
    :param connect_to: connects with the parameters for one address. It may give up once the attempt is hopeless.
    :param error_class: what it raises when that fails.
    :param dead_hosts: what former connects have found.
    :raises error_class: when no address takes us, with what each has said.
    """
    if not _names_hosts(settings):
        return connect_to(dict(parameters), Attempt())  # libpq connects to its default, or complains.
    errors: list[Exception] = []

    def record_unknown(message: str) -> None:
        errors.append(error_class(message))

    for target, is_last_resort in dead_hosts.in_order(_targets(settings, record_unknown), lambda each: each.address):
        if is_last_resort and any(is_full(str(error)) for error in errors):
            break  # That one lives, and soon has room.
        try:
            may_give_up = target.has_others and not is_last_resort
            with dead_hosts.attempt(target.address, may_give_up=may_give_up) as attempt:
                return connect_to(target.complete(parameters), attempt)
        except error_class as error:
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
    if not _names_hosts(settings):
        yield dict(parameters)  # libpq connects to its default, or complains.
    else:
        for target in _targets(settings, record_unknown):
            yield target.complete(parameters)


def _targets(settings: Mapping[str, Any], record_unknown: Callable[[str], object]) -> Iterator[_Target]:
    hosts = _hosts(settings)
    is_random = settings.get("load_balance_hosts") == "random"
    if is_random:
        random.shuffle(hosts)
    look_up = functools.cache(functools.partial(_look_up, is_random=is_random, record_unknown=record_unknown))
    # As libpq does it: first all hosts for a standby, then all for any server.
    wanted = ("standby", "any") if settings.get("target_session_attrs") == "prefer-standby" else (None,)
    for attributes, host in itertools.product(wanted, hosts):
        addresses = [host.hostaddr] if host.hostaddr or _is_no_name(host.host) else look_up(host.host)
        for address in addresses:
            yield _Target(host._replace(hostaddr=address), attributes, len(hosts) > 1 or len(addresses) > 1)


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


def _names_hosts(settings: Mapping[str, Any]) -> bool:
    return any(host.host or host.hostaddr for host in _hosts(settings))


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
