"""What the pages quote is there: messages in the source, commands on the command line, metrics in the code."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import django.db.backends.base.base
import django.utils.asyncio
import pytest
import yaml
from celery.bin.celery import celery
from celery.bin.worker import worker
from celery.worker.control import Panel

import celery_geventpool.commands
from celery_geventpool.metrics.prometheus import name_of
from django_geventpool.pool.stats import METRICS

from .pages import DOCS, PAGES, ROOT, blocks

#: Where messages of others that the page has come from.
OTHERS = (django.db.backends.base.base.__file__, django.utils.asyncio.__file__)
#: The marks for what differs from message to message: the page's, and those of the source.
OPEN = "..."
#: Shorter pieces of a message say nothing about it.
LEAST = 12


@cache
def spoken() -> str:
    """Return all strings in the source, with ``...`` for what is filled in."""
    files = [
        *(file for package in ("celery_geventpool", "django_geventpool") for file in (ROOT / package).rglob("*.py")),
        *map(Path, OTHERS),
    ]
    return "\n".join(_text(node) for file in files for node in ast.walk(ast.parse(file.read_text())))


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"%[sd]", OPEN, node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    return OPEN if isinstance(node, ast.FormattedValue) else ""


def messages() -> list[str]:
    """Return the messages that the page explains: a line each."""
    return re.findall(r"^`([^`\n]+)`$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)


def test_the_messages_are_found() -> None:
    sections = re.findall(r"^### ", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(messages()) >= len(sections) > 15


@pytest.mark.parametrize("message", messages())
def test_a_message_is_in_the_source(message: str) -> None:
    pieces = [piece.strip() for piece in message.split(OPEN)]
    long = [piece for piece in pieces if len(piece) >= LEAST]
    assert long
    assert [piece for piece in long if piece not in spoken()] == []


def commands() -> list[str]:
    """Return the commands of Celery's in the pages, without the app."""
    found = {
        re.sub(r"\s+", " ", command).strip()
        for page in PAGES
        for command in re.findall(r"celery -A \w+ ([^`\n#]+?)(?= {2,}|[`\n#&])", page.read_text())
    }
    return sorted(found)


def test_the_commands_are_found() -> None:
    assert len(commands()) > 10


@pytest.mark.parametrize("line", commands())
def test_a_command_is_on_the_command_line(line: str) -> None:
    name, *words = line.split()
    options = [word for word in words if word.startswith("-")]
    plain = [word.strip("[]") for word in words if not word.startswith("-")]
    command = {"worker": worker, "geventpool": celery_geventpool.commands.geventpool}.get(name) or celery.commands[name]
    if name == "geventpool":
        command = command.commands[plain.pop(0)]
    elif name in ("inspect", "control"):
        remote = Panel.meta[plain[0]]
        assert remote.type == name
        assert {word for word in plain[1:] if word.islower()} <= set(re.findall(r"\w+", remote.signature or ""))
    known = {option for parameter in command.params for option in parameter.opts}
    assert {option.partition("=")[0] for option in options} <= known


def test_the_rules_for_alerts_ask_for_metrics_that_there_are() -> None:
    (block,) = blocks("yaml")
    rules = yaml.safe_load(block.source)["groups"][0]["rules"]
    served = {
        f"{name_of(metric)}{suffix}"
        for metric in METRICS
        for suffix in {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket",)}[metric.kind]
    }
    asked = {name for rule in rules for name in re.findall(r"geventpool_\w+", rule["expr"])}
    assert len(asked) > 4
    assert asked <= served
    table = (DOCS / "alerts.md").read_text()
    assert all(f"| `{rule['alert']}` |" in table for rule in rules)
