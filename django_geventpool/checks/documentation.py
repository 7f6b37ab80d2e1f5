"""Where the documentation explains a check."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

from django.core.checks import CheckMessage

#: The site, in the version that was released last.
SITE = "https://celery-geventpool.readthedocs.io/en/stable/"

Check = Callable[..., Sequence[CheckMessage]]


def link_of(check_id: str) -> str:
    """Return where the site explains the check with an id."""
    return f"{SITE}checks.html#{check_id.lower().replace('.', '-')}"


def explained(check: Check) -> Check:
    """Have the hint of each message end in the link to its explanation. Decorator of what Django calls."""

    @functools.wraps(check)
    def with_links(**kwargs: Any) -> Sequence[CheckMessage]:
        return [with_link(message) for message in check(**kwargs)]

    return with_links


def with_link(message: CheckMessage) -> CheckMessage:
    """Return the message with a hint that ends in the link to its explanation."""
    assert message.id is not None
    linked = copy.copy(message)
    linked.hint = f"{message.hint} See {link_of(message.id)}"
    return linked
