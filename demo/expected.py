"""The serial count that the worker's rows are compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from library.models import Definition, Module
from library.parsing import ParsedDefinition, ParsedModule, parse


def count_serially(files: Iterable[tuple[str, Path]]) -> dict[str, ParsedModule]:
    """Parse the files one after the other; return the modules by path."""
    return {path: parse(file.read_bytes()) for path, file in files}


def find_wrong_modules(expected: Mapping[str, ParsedModule]) -> set[str]:
    """Return the paths whose module is missing in the database, unexpected, or has other definitions than expected."""
    modules = {
        path: (lines, parsable) for path, lines, parsable in Module.objects.values_list("path", "lines", "parsable")
    }
    # Lists, so that a row that is stored twice is found.
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
