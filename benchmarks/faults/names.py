"""A name server that never answers, for one process only."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: A name that only a name server could know.
HOST = "database.example"
#: How long a look-up takes until it is given up: the system's default is five seconds, and another try.
TIMEOUT = 2

_MOUNT = 'mount --bind {} "$(realpath /etc/resolv.conf)" && exec "$@"'
_UNSHARE = ("unshare", "-m")


def can_be_silent() -> bool:
    """Return whether this process may listen as a name server, and give another process files of its own."""
    if os.geteuid() != 0 or shutil.which(_UNSHARE[0]) is None:
        return False
    return subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode == 0


@contextmanager
def silent_name_server(folder: Path) -> Iterator[list[str]]:
    """Yield a command that runs another one with such a name server.

    :param folder: where a file for it may be.
    """
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        address = f"127.77.{random.randrange(256)}.{random.randrange(1, 255)}"
        server.bind((address, 53))
        file = folder / "resolv.conf"
        file.write_text(f"nameserver {address}\noptions timeout:{TIMEOUT} attempts:1\n")
        yield [*_UNSHARE, "sh", "-c", _MOUNT.format(file), "sh"]
