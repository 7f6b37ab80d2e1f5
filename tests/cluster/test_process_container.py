"""A local process in place of a container."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pytest_celery import CeleryBrokerCluster, CeleryTestNode, RedisTestBroker
from pytest_docker_tools.exceptions import ContainerFailed

from servers.redis import RedisNotFound, RedisServer
from tests.support.waiting import eventually

from .nodes.process_container import ProcessContainer
from .nodes.servers import LocalRedis


def start_redis(name: str) -> LocalRedis:
    try:
        return LocalRedis(RedisServer(), name)
    except RedisNotFound as error:
        pytest.skip(str(error))


@pytest.fixture
def container() -> Iterator[LocalRedis]:
    container = start_redis("a redis")
    yield container
    container.program.close()


@pytest.fixture
def node(container: LocalRedis) -> CeleryTestNode:
    return RedisTestBroker(container)


def test_it_is_known_by_its_name_and_id(container: ProcessContainer, node: CeleryTestNode) -> None:
    assert node.name() == "a redis"
    assert len(container.id) == 64
    assert node.hostname() == container.short_id == container.id[:12]
    assert container.attrs["Config"]["Hostname"] == container.short_id


def test_it_says_where_it_is(container: LocalRedis, node: CeleryTestNode) -> None:
    config = node.config()
    assert config["url"] == config["host_url"] == f"redis://127.0.0.1:{container.port}/0"
    assert node.config(vhost=3)["url"] == f"redis://127.0.0.1:{container.port}/3"
    assert container.get_addr("6379/tcp") == ("127.0.0.1", container.port)
    assert container.client.ping()


def test_it_is_ready_while_it_runs(container: ProcessContainer, node: CeleryTestNode) -> None:
    assert container.status == "running"
    assert node.ready()
    node.kill()
    assert container.status == "exited"
    with pytest.raises(ContainerFailed, match="a redis has ended"):
        node.ready()


def test_a_signal_is_sent_to_it(container: ProcessContainer, node: CeleryTestNode) -> None:
    node.kill(signal="SIGTERM")
    eventually(lambda: container.status == "exited", "the end of it")
    assert "Received SIGTERM" in node.logs()


@pytest.mark.parametrize("force", [False, True])
def test_a_restarted_one_has_its_port_and_its_logs(container: LocalRedis, node: CeleryTestNode, force: bool) -> None:
    port, logs = container.port, node.logs()
    pid = container.client.info()["process_id"]
    assert container.ready_prompt in logs
    node.restart(force=force)
    assert container.status == "running"
    assert container.port == port
    assert node.logs().startswith(logs)
    assert node.logs().count(container.ready_prompt) == 2
    assert container.client.info()["process_id"] != pid


def test_one_that_was_killed_can_be_restarted(container: LocalRedis, node: CeleryTestNode) -> None:
    node.kill()
    node.restart()
    assert container.client.ping()


def test_a_log_is_waited_for(container: LocalRedis, node: CeleryTestNode) -> None:
    node.assert_log_exists(container.ready_prompt)
    node.assert_log_does_not_exist("no such line")


def test_a_removed_one_leaves_no_process(container: LocalRedis, node: CeleryTestNode) -> None:
    pid = container.client.info()["process_id"]
    container.remove()
    node.teardown()
    assert container.status == "exited"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_cluster_of_several(container: LocalRedis) -> None:
    other = start_redis("another redis")
    try:
        cluster = CeleryBrokerCluster(container, other)
        assert cluster.ready()
        assert cluster.config()["urls"] == [container.url, other.url]
        cluster[0].kill()
        assert [node.container.status for node in cluster] == ["exited", "running"]
    finally:
        other.program.close()
