"""A name server that never answers delays only the greenlet that asks it."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import output_of, start_program

from .conftest import MakeDatabase

pytestmark = pytest.mark.frameworks("gevent", "eventlet")


@pytest.fixture
def silent_name_server() -> Iterator[str]:
    """The address of a name server that never answers."""
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        address = f"127.77.{random.randrange(256)}.{random.randrange(1, 255)}"
        try:
            server.bind((address, 53))
        except PermissionError as error:
            pytest.skip(f"no name server without the right to its port: {error}")
        yield address


@pytest.fixture
def with_name_server(tmp_path: Path, silent_name_server: str) -> list[str]:
    """A command that runs another one with that name server only."""
    file = tmp_path / "resolv.conf"
    file.write_text(f"nameserver {silent_name_server}\noptions timeout:2 attempts:1\n")
    mount = f'mount --bind {file} "$(realpath /etc/resolv.conf)" && exec "$@"'
    prefix = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", mount, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("unshare, of the package util-linux, can't give a process files of its own here")
    return prefix


def test_others_go_on_while_a_name_server_is_silent(make_database: MakeDatabase, with_name_server: list[str]) -> None:
    database = make_database(MAX_CONNS=1, role_limit=2, connect_timeout=2)
    process = start_program("look_up", database.settings, "database.example", prefix=with_name_server)
    output = output_of(process)
    assert process.returncode == 0, output
    assert "(7,) meanwhile" in output
    # psycopg before 3.2.13 doesn't say which name could not be resolved; eventlet has words of its own.
    assert re.search("database.example|name resolution|Lookup timed out", output.splitlines()[-1])
