"""Which addresses are tried, in which order, with libpq's parameters."""

from __future__ import annotations

import os
import random
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import _psycopg, extensions

from django_geventpool.drivers import conninfo, hosts
from django_geventpool.drivers.conninfo import effective_settings
from django_geventpool.drivers.dead_hosts import DeadHosts
from django_geventpool.drivers.libpq import find_libpq
from django_geventpool.drivers.patience import Attempt, never

SERVICES = """
[shop]
host=a.example,b.example
port=1234
connect_timeout=7
target_session_attrs=read-write
"""
#: The answers of the name server.
ADDRESSES = {
    "a.example": ["192.0.2.1", "192.0.2.2"],
    "b.example": ["2001:db8::1"],
    "c.example": ["192.0.2.3"],
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names that were looked up."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: object, **options: Any) -> list[Any]:
        asked.append(host)
        if host not in ADDRESSES:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ADDRESSES[host] * 2]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def settings_of(**parameters: Any) -> dict[str, Any]:
    return effective_settings(_psycopg.__file__, extensions.make_dsn, parameters)


def attempts(**parameters: Any) -> list[tuple[Any, ...]]:
    """Return host, address and port of each attempt, and its other parameters."""
    unknown: list[str] = []
    made = list(hosts.attempts(parameters, settings_of(**parameters), unknown.append))
    return [
        *(
            (attempt.get("host"), attempt.get("hostaddr"), attempt.get("port"), attempt.get("target_session_attrs"))
            for attempt in made
        ),
        *((message,) for message in unknown),
    ]


def test_without_a_host_everything_is_left_to_libpq(lookups: list[str]) -> None:
    parameters = {"dbname": "shop", "target_session_attrs": "prefer-standby"}
    assert list(hosts.attempts(parameters, settings_of(**parameters), pytest.fail)) == [parameters]
    assert lookups == []


def test_a_name_stands_beside_each_of_its_addresses() -> None:
    assert attempts(host="a.example", port=5433) == [
        ("a.example", "192.0.2.1", "5433", None),
        ("a.example", "192.0.2.2", "5433", None),
    ]


@pytest.mark.parametrize("host", ["192.0.2.9", "2001:db8::9", "/run/postgresql", "@abstract"])
def test_what_is_no_name_is_not_looked_up(lookups: list[str], host: str) -> None:
    assert attempts(host=host) == [(host, "", "5432", None)]
    assert lookups == []


def test_hosts_have_their_ports_and_are_looked_up_in_turn(lookups: list[str]) -> None:
    parameters = {"host": "a.example,/run,b.example", "port": "1,2,3", "dbname": "shop"}
    tries = hosts.attempts(parameters, settings_of(**parameters), pytest.fail)
    assert next(tries) == {"host": "a.example", "hostaddr": "192.0.2.1", "port": "1", "dbname": "shop"}
    assert lookups == ["a.example"]
    assert [(attempt["host"], attempt["hostaddr"], attempt["port"]) for attempt in tries] == [
        ("a.example", "192.0.2.2", "1"),
        ("/run", "", "2"),
        ("b.example", "2001:db8::1", "3"),
    ]


def test_given_addresses_are_not_looked_up(lookups: list[str]) -> None:
    assert attempts(host="x.example,c.example", hostaddr="192.0.2.7,", port="7") == [
        ("x.example", "192.0.2.7", "7", None),
        ("c.example", "192.0.2.3", "7", None),
    ]
    assert attempts(hostaddr="192.0.2.7,192.0.2.8") == [
        ("", "192.0.2.7", "5432", None),
        ("", "192.0.2.8", "5432", None),
    ]
    assert lookups == ["c.example"]


def test_an_unknown_name_is_told_of_and_the_next_is_tried() -> None:
    *tried, (message,) = attempts(host="x.example,c.example")
    assert tried == [("c.example", "192.0.2.3", "5432", None)]
    assert message == 'could not translate host name "x.example" to address: Name or service not known'


@pytest.mark.parametrize("parameters", [{"host": "a,b", "port": "1,2,3"}, {"host": "a,b", "hostaddr": "192.0.2.7"}])
def test_what_does_not_match_is_left_to_libpq_to_complain_of(lookups: list[str], parameters: dict[str, str]) -> None:
    assert list(hosts.attempts(parameters, settings_of(**parameters), pytest.fail)) == [parameters]
    assert lookups == []


def test_a_standby_is_preferred_among_all_of_them(lookups: list[str]) -> None:
    assert [attempt[1:] for attempt in attempts(host="a.example,b.example", target_session_attrs="prefer-standby")] == [
        ("192.0.2.1", "5432", "standby"),
        ("192.0.2.2", "5432", "standby"),
        ("2001:db8::1", "5432", "standby"),
        ("192.0.2.1", "5432", "any"),
        ("192.0.2.2", "5432", "any"),
        ("2001:db8::1", "5432", "any"),
    ]
    assert lookups == ["a.example", "b.example"]


def test_load_is_balanced_over_hosts_and_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "shuffle", list.reverse)
    parameters = {"host": "a.example,b.example", "load_balance_hosts": "random"}
    assert [attempt[1] for attempt in attempts(**parameters)] == ["2001:db8::1", "192.0.2.2", "192.0.2.1"]


# Where libpq finds parameters


@pytest.fixture(params=["libpq", "environment"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the tests with libpq, and as if it could not be loaded."""
    if request.param == "environment":
        monkeypatch.setattr(conninfo, "find_libpq", lambda library: None)
    return str(request.param)


@pytest.mark.usefixtures("source")
def test_the_environment_counts_where_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "c.example")
    monkeypatch.setenv("PGPORT", "7")
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "prefer-standby")
    assert attempts(dbname="shop") == [
        ("c.example", "192.0.2.3", "7", "standby"),
        ("c.example", "192.0.2.3", "7", "any"),
    ]
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.8")
    assert attempts(dbname="shop", target_session_attrs="any") == [("c.example", "192.0.2.8", "7", "any")]
    monkeypatch.delenv("PGHOSTADDR")
    assert attempts(host="b.example", port=8, target_session_attrs="primary") == [
        ("b.example", "2001:db8::1", "8", "primary")
    ]


@pytest.mark.parametrize("where", ["parameter", "environment"])
def test_a_service_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str) -> None:
    file = tmp_path / "services"
    file.write_text(SERVICES)
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    parameters = {"service": "shop"} if where == "parameter" else {"dbname": "shop"}
    if where == "environment":
        monkeypatch.setenv("PGSERVICE", "shop")
    assert [attempt[:3] for attempt in attempts(**parameters)] == [
        ("a.example", "192.0.2.1", "1234"),
        ("a.example", "192.0.2.2", "1234"),
        ("b.example", "2001:db8::1", "1234"),
    ]
    assert hosts.connect_timeout(settings_of(**parameters)) == 7


def test_a_connection_string_counts() -> None:
    assert attempts(dsn="postgresql://app@c.example:7/shop", password="open-sesame") == [
        ("c.example", "192.0.2.3", "7", None)
    ]


def test_where_libpq_can_not_be_asked_what_stands_elsewhere_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conninfo, "find_libpq", lambda library: None)
    monkeypatch.setenv("PGHOST", "c.example")
    parameters = {"dsn": "postgresql://app@a.example/shop"}
    assert list(hosts.attempts(parameters, settings_of(**parameters), pytest.fail)) == [parameters]
    monkeypatch.setenv("PGSERVICE", "shop")
    assert settings_of(dbname="shop") == {}


def test_a_service_that_is_not_there_is_left_to_libpq_to_complain_of(tmp_path: Path) -> None:
    parameters = {"service": "nowhere"}
    assert list(hosts.attempts(parameters, settings_of(**parameters), pytest.fail)) == [parameters]


def test_a_password_is_not_among_the_settings() -> None:
    assert "open-sesame" not in str(settings_of(host="c.example", password="open-sesame"))


def test_a_library_that_is_none_is_no_libpq() -> None:
    assert find_libpq("/no/such/library.so") is None


# connect_timeout


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, None),
        ({"connect_timeout": None}, None),
        ({"connect_timeout": 0}, None),
        ({"connect_timeout": "0"}, None),
        ({"connect_timeout": -1}, None),
        ({"connect_timeout": 10}, 10),
        ({"connect_timeout": "10"}, 10),
        ({"connect_timeout": "soon"}, None),
        # The shortest that libpq accepts.
        ({"connect_timeout": 1}, 2),
        # It is the time for each host.
        ({"connect_timeout": 3, "host": "a,b,c"}, 3),
    ],
)
def test_connect_timeout_is_what_libpq_makes_of_it(given: dict[str, Any], seconds: float | None) -> None:
    assert hosts.connect_timeout(settings_of(**given)) == seconds


@pytest.mark.usefixtures("source")
def test_connect_timeout_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "7")
    assert hosts.connect_timeout(settings_of()) == 7
    assert hosts.connect_timeout(settings_of(connect_timeout=5)) == 5


# The errors


class Refusing:
    """A function that refuses each attempt with the next of its messages."""

    def __init__(self, *messages: str) -> None:
        self.messages = list(messages)

    def __call__(self, target: dict[str, Any], attempt: Attempt) -> str:
        if not self.messages:
            return str(target["hostaddr"])
        raise psycopg2.OperationalError(self.messages.pop(0))


def connect(refusing: Refusing, **parameters: Any) -> str:
    return hosts.connect(parameters, settings_of(**parameters), refusing, psycopg2.OperationalError, DeadHosts())


def test_the_first_that_takes_us_is_it() -> None:
    assert connect(Refusing("timeout expired", "refused\n"), host="a.example,c.example") == "192.0.2.3"


def test_the_error_tells_of_each() -> None:
    with pytest.raises(psycopg2.OperationalError) as caught:
        connect(Refusing("timeout expired", "refused\n", "tired"), host="a.example,x.example,c.example")
    assert str(caught.value).splitlines() == [
        "timeout expired",
        "refused",
        'could not translate host name "x.example" to address: Name or service not known',
        "tired",
    ]


@pytest.mark.parametrize(
    "words",
    [
        'FATAL:  password authentication failed for user "app"',
        'connection to server at "a.example" (192.0.2.1), port 5432 failed: FATAL:  PAM authentication failed for "x"',
        'connection to server at "a.example" (192.0.2.1), port 5432 failed: fe_sendauth: no password supplied',
    ],
)
def test_a_password_is_tried_once(words: str) -> None:
    refusing = Refusing(words, "not reached")
    with pytest.raises(psycopg2.OperationalError, match=re.escape(words)):
        connect(refusing, host="a.example,c.example")
    assert refusing.messages == ["not reached"]


def test_a_host_may_be_called_what_it_likes() -> None:
    words = 'connection to server at "password.example" (192.0.2.1), port 5432 failed: Connection refused'
    assert connect(Refusing(words), host="a.example") == "192.0.2.2"


# What former connects have found


def test_a_dead_address_is_tried_after_all_others(lookups: list[str]) -> None:
    now = [0.0]
    dead = DeadHosts(lambda: now[0])
    tried: list[tuple[Any, ...]] = []
    could_give_up: list[bool] = []

    def connect_to(target: dict[str, Any], attempt: Attempt) -> str:
        tried.append((target["hostaddr"], target.get("target_session_attrs")))
        could_give_up.append(attempt.is_dead is not never)
        now[0] += 5 if target["hostaddr"] == "192.0.2.1" else 0
        raise psycopg2.OperationalError("no")

    parameters = {"host": "a.example,c.example", "target_session_attrs": "prefer-standby"}
    for _ in range(2):
        with pytest.raises(psycopg2.OperationalError):
            hosts.connect(parameters, settings_of(**parameters), connect_to, psycopg2.OperationalError, dead)
    a, a_dead = "192.0.2.2", "192.0.2.1"
    assert tried[:6] == [
        *((a_dead, "standby"), (a, "standby"), ("192.0.2.3", "standby"), (a, "any"), ("192.0.2.3", "any")),
        (a_dead, "any"),
    ]
    assert tried[6:] == [
        *((a, "standby"), ("192.0.2.3", "standby"), (a, "any"), ("192.0.2.3", "any")),
        *((a_dead, "standby"), (a_dead, "any")),
    ]
    assert could_give_up[:6] == [True] * 5 + [False], "a last resort has all its time"


def test_where_one_is_full_the_dead_are_left_alone() -> None:
    now = [0.0]
    dead = DeadHosts(lambda: now[0])
    tried: list[Any] = []

    def connect_to(attempt: dict[str, Any], is_hopeless: Callable[[], bool]) -> str:
        tried.append(attempt["hostaddr"])
        is_dead = attempt["hostaddr"] == "192.0.2.1"
        now[0] += 5 if is_dead else 0
        raise psycopg2.OperationalError("no answer" if is_dead else "FATAL:  sorry, too many clients already")

    parameters = {"host": "a.example"}
    for _ in range(2):
        with pytest.raises(psycopg2.OperationalError, match="too many clients"):
            hosts.connect(parameters, settings_of(**parameters), connect_to, psycopg2.OperationalError, dead)
    assert tried == ["192.0.2.1", "192.0.2.2", "192.0.2.2"]


def test_an_only_address_is_not_given_up() -> None:
    def connect_to(_target: dict[str, Any], attempt: Attempt) -> bool:
        return attempt.is_dead is not never

    for host, may_give_up in (
        ("c.example", False),
        ("a.example", True),
        ("b.example,c.example", True),
        ("/run", False),
    ):
        found = hosts.connect({}, {"host": host}, connect_to, psycopg2.OperationalError, DeadHosts())
        assert found is may_give_up, host
