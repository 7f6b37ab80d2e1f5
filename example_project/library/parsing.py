"""Finds what a source file defines, by Python's own parser."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True, order=True)
class ParsedDefinition:
    """A function or a class, and the line that it starts on."""

    line: int
    kind: str
    name: str


@dataclass(frozen=True)
class ParsedModule:
    """The definitions of a module; a file that can't be parsed has none."""

    lines: int
    parsable: bool
    definitions: tuple[ParsedDefinition, ...] = ()


def parse(source: bytes) -> ParsedModule:
    """Parse a source file.

    The standard library's tests have files whose syntax or encoding is broken on purpose. They count as modules that
    can't be parsed.
    """
    lines = len(source.splitlines())
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ParsedModule(lines, parsable=False)
    return ParsedModule(lines, parsable=True, definitions=tuple(sorted(_definitions(tree))))


def _definitions(tree: ast.Module) -> Iterator[ParsedDefinition]:
    """Yield the definitions. Only statements are walked: expressions have none, and make up most of the nodes."""
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ParsedDefinition(node.lineno, "function", node.name)
        elif isinstance(node, ast.ClassDef):
            yield ParsedDefinition(node.lineno, "class", node.name)
        for block in _BLOCKS:
            nodes.extend(getattr(node, block, ()))
