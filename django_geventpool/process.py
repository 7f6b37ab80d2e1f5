"""Whether this is still the process that made something: forked children leave alone what is their parent's.

After a fork, ``registry.py`` starts without pools and holders, ``backends/pooled.py`` makes the wrappers forget their
connections, and ``drivers/inherited.py`` keeps the sockets of those from being used or closed.
"""

from __future__ import annotations

import os

#: Stands for this process: what is made in it keeps this object, and is another process's when that differs. Comparing
#: two objects costs nothing, where ``os.getpid`` is a system call at each checkout.
current = object()


def _begin() -> None:
    global current
    current = object()


os.register_at_fork(after_in_child=_begin)
