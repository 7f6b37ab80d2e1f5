"""A real Redis server, if it is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from servers.redis import RedisNotFound, RedisServer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    try:
        server = RedisServer()
    except RedisNotFound as error:
        pytest.skip(str(error))
    with server:
        yield server


def test_what_it_was_told_survives_a_kill(server: RedisServer) -> None:
    port = server.port
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
    server.kill()
    assert not server.is_running
    server.start()
    assert server.is_running
    assert server.port == port
    with redis.Redis.from_url(server.url) as client:
        assert client.get("key") == b"value"


def test_two_do_not_meet(server: RedisServer) -> None:
    with RedisServer() as other, redis.Redis.from_url(server.url) as client, redis.Redis.from_url(other.url) as guest:
        client.set("key", "value")
        assert guest.get("key") is None


def test_nothing_is_left_of_a_closed_one(server: RedisServer) -> None:
    with RedisServer() as other:
        url = other.url
    assert not other.is_running
    with redis.Redis.from_url(url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_without_a_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RedisNotFound, match="redis-server on PATH: apt-get install redis-server"):
        RedisServer()
