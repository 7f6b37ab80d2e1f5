"""The compose file, systemd units and Kubernetes manifest of the example project, checked without a deployment."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

EXAMPLE = Path(__file__).parent.parent.parent / "example_project"
DEPLOY = EXAMPLE / "deploy"
UNIT = DEPLOY / "library-worker@.service"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def settings_names() -> set[str]:
    """Return the environment variables that the settings read."""
    return set(re.findall(r'env(?:\.\w+)?\(\s*"(\w+)"', (EXAMPLE / "project" / "settings.py").read_text()))


def names_in(file: str) -> set[str]:
    """Return the variables that an environment file sets."""
    return set(re.findall(r"^(\w+)=", (DEPLOY / file).read_text(), re.MULTILINE))


def check_command(command: list[str]) -> None:
    """Check that manage.py or Celery has this command, with these options."""
    words = [word for word in command if not word.startswith("-")]
    assert words[:2] == ["python", "manage.py"] or words[:3] == ["celery", "project", "worker"]
    program = [sys.executable, "manage.py", words[2]] if words[0] == "python" else [sys.executable, "-m", *command[:4]]
    result = subprocess.run([*program, "--help"], cwd=EXAMPLE, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    for option in command:
        if option.startswith("-") and option != "-A":  # "-A" comes before the command.
            assert re.search(rf"(?<!\S){option}\b", result.stdout), f"{option} in {command}"


def test_services_depend_on_others_that_can_say_that_they_are_ready(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(compose) <= {"name", "services", "volumes", "x-library"}
    assert services["worker"]["deploy"]["replicas"] == 2
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert (how["condition"] == "service_healthy") is ("healthcheck" in services[other]), (name, other)
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith("./") else source in compose["volumes"]
    for name in ("postgres", "rabbitmq", "worker"):
        check = services[name]["healthcheck"]
        assert check["test"][0] in ("CMD", "CMD-SHELL")
        assert {"interval", "timeout", "retries"} <= set(check)


def test_commands_exist(compose: dict[str, Any]) -> None:
    ours = [service for service in compose["services"].values() if "build" in service]
    assert len(ours) == 3
    for service in ours:
        check_command(service["command"])


def test_what_the_services_are_told_is_what_the_settings_read(compose: dict[str, Any]) -> None:
    assert set(compose["x-library"]["environment"]) <= settings_names()
    assert names_in("worker.env.example") <= settings_names()


def test_secrets_come_from_outside() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    required = set(re.findall(r"\$\{(\w+):\?", text))
    optional = set(re.findall(r"\$\{(\w+):-", text))
    assert required == names_in("env.example")
    assert set(re.findall(r"\$\{(\w+)", text)) == required | optional
    for line in text.splitlines():
        if re.search("PASS|SECRET|://.*@", line):
            assert "${" in line, line
    # The example has no passwords either.
    assert re.findall(r"^\w+=.+", (DEPLOY / "env.example").read_text(), re.MULTILINE) == []
    assert "SECRET_KEY=\n" in (DEPLOY / "worker.env.example").read_text()


def test_the_workers_leave_room_on_the_server(compose: dict[str, Any]) -> None:
    most = int(compose["services"]["postgres"]["command"][1].partition("=")[2])
    shared = re.search(r"CONNECTION LIMIT (\d+)", (DEPLOY / "create-database.sh").read_text())
    default = re.fullmatch(r"\$\{MAX_CONNS:-(\d+)\}", compose["x-library"]["environment"]["GEVENTPOOL_MAX_CONNS"])
    assert shared is not None
    assert default is not None
    assert int(default[1]) < int(shared[1]) < most


def test_the_image_is_made_of_files_that_are_there(compose: dict[str, Any]) -> None:
    build = compose["x-library"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    dockerfile = (context / build["dockerfile"]).read_text()
    copied = re.findall(r"^COPY (\S+) ", dockerfile, re.MULTILINE)
    assert len(copied) == 4
    for source in copied:
        assert (context / source).exists(), source
    (command,) = re.findall(r"^CMD (.+)", dockerfile, re.MULTILINE)
    assert yaml.safe_load(command) == compose["services"]["worker"]["command"]


@pytest.mark.parametrize(
    "name", ["library-worker@.service", "library-worker-check@.service", "library-worker-check@.timer"]
)
def test_systemd_takes_the_units(tmp_path: Path, name: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on PATH: apt-get install systemd")
    program = "/srv/library/venv/bin/celery"
    for unit in DEPLOY.glob("*@.*"):
        # systemd-analyze checks that the program exists.
        (tmp_path / unit.name).write_text(unit.read_text().replace(program, sys.executable))
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_the_unit_starts_a_worker_that_ends_with_its_tasks() -> None:
    unit = dict(re.findall(r"^(\w+)=(.*)", UNIT.read_text(), re.MULTILINE))
    program, *arguments = shlex.split(unit["ExecStart"].replace("%i", "1").replace("%H", "localhost"))
    assert program.endswith("/celery")
    check_command(["celery", *arguments])
    assert (unit["KillSignal"], unit["KillMode"], unit["Restart"]) == ("SIGTERM", "mixed", "on-failure")
    assert int(unit["TimeoutStopSec"]) > 90
    assert unit["EnvironmentFile"].endswith("/worker.env")


def test_kubernetes_asks_the_port_that_the_worker_opens() -> None:
    deployment: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (worker,) = pod["spec"]["containers"]
    command = [*worker["command"], *worker["args"]]
    check_command(command)
    port = command[command.index("--pool-metrics-port") + 1]
    assert command[command.index("--pool-metrics-host") + 1] == "0.0.0.0"
    assert worker["ports"] == [{"name": "metrics", "containerPort": int(port)}]
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == port
    probes = {name: worker[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert all(probe["port"] == "metrics" for probe in probes.values())
    assert [probe["path"] for probe in probes.values()] == ["/livez", "/livez", "/readyz"]
    # A probe of the server's answer may take a second, and most time is the hub's.
    assert all(worker[name]["timeoutSeconds"] >= 5 for name in probes)
    assert pod["spec"]["terminationGracePeriodSeconds"] > 90


def test_the_other_probes_ask_the_port_that_the_worker_opens(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    port = worker["command"][worker["command"].index("--pool-metrics-port") + 1]
    assert f"http://127.0.0.1:{port}/readyz" in worker["healthcheck"]["test"][-1]
    compile(worker["healthcheck"]["test"][-1], "healthcheck", "exec")
    check = (DEPLOY / "library-worker-check@.service").read_text()
    (unit_port,) = re.findall(r"--pool-metrics-port (\S+)", UNIT.read_text())
    assert f"http://127.0.0.1:{unit_port}/livez" in check
    assert "prometheus" in (DEPLOY / "requirements.txt").read_text()


def test_the_check_of_systemd_kills_a_worker_that_does_not_answer_and_no_other(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on PATH: apt-get install curl")
    (line,) = re.findall(r"^ExecStart=(.*)", (DEPLOY / "library-worker-check@.service").read_text(), re.MULTILINE)
    killed = tmp_path / "killed"
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" > {killed}\n')
    (tmp_path / "systemctl").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def run(port: int) -> None:
        command = line.replace("$$", "$").replace("--max-time 60", "--max-time 0.3")
        command = command.replace("980%i", str(port)).replace("%i", "1")
        subprocess.run(shlex.split(command), env=environment, check=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        run(port)  # It accepts, and says nothing.
    assert killed.read_text() == "kill --signal=SIGKILL library-worker@1.service\n"
    killed.unlink()
    run(port)  # Nobody listens.
    assert not killed.exists()
