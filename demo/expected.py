"""The serial count that the worker's rows are held against."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from library.models import Definition, Module
from library.parsing import ParsedDefinition, ParsedModule, parse


def count_serially(files: Iterable[tuple[str, Path]]) -> dict[str, ParsedModule]:
    """What the files hold, read from disk one after the other."""
    return {path: parse(file.read_bytes()) for path, file in files}


def find_wrong_modules(expected: Mapping[str, ParsedModule]) -> set[str]:
    """The paths of which the database has no module, or not exactly the expected definitions.

    The path of a module that nobody expected is wrong too.
    """
    modules = {
        path: (lines, parsable) for path, lines, parsable in Module.objects.values_list("path", "lines", "parsable")
    }
    # Lists, as what is there twice must be twice in them.
    definitions: dict[str, list[ParsedDefinition]] = defaultdict(list)
    rows = Definition.objects.values_list("module__path", "line", "kind", "name")
    for path, line, kind, name in rows.iterator():
        definitions[path].append(ParsedDefinition(line, kind, name))
    return {
        path
        for path in modules.keys() | expected.keys()
        if path not in expected
        or modules.get(path) != (expected[path].lines, expected[path].parsable)
        or sorted(definitions[path]) != list(expected[path].definitions)
    }
