"""What SQL does to the state of its session, told from its text.

What is no state of the session is not here: ``SET LOCAL`` and ``set_config(..., true)``, ``SET TRANSACTION``, ``SET
CONSTRAINTS``, the locks of a transaction, temporary tables that a commit drops, ``SET NAMES 'UTF8'``.

What functions, procedures and ``DO`` do can't be seen in the text that calls them.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ...pool.counters import StateKind
from .text import Statement, statements_of


class Effect(enum.Enum):
    """What an operation does to a piece of state."""

    #: It makes it, or may.
    DO = "do"
    #: It takes an advisory lock, unless somebody has it; or it releases one.
    TRY = "try"
    RELEASE = "release"
    #: It removes it, if it succeeds.
    UNDO = "undo"
    #: It gives it another name, if it is there.
    RENAME = "rename"
    #: It makes what was undone in the transaction last.
    COMMIT = "commit"
    #: It may bring back what was undone in the transaction.
    ROLL_BACK = "rollback"


class Operation(NamedTuple):
    """What a statement does to the state of its session."""

    effect: Effect
    #: None for all kinds.
    kind: StateKind | None = None
    #: None for all names where something is undone, else for one that the text doesn't say.
    name: str | None = None


#: What a text must have for a closer look, in lower case: cheap tests, as most texts do nothing, and may be long.
_WORDS = ("set_config", "advisory_", "pg_settings", "set_limit")
#: The commands with operations of their own; a comment may hide one.
_BEGINNING = (
    r"[\s(]*(?:set|reset|listen|unlisten|prepare|deallocate|declare|close|create|alter|drop|load|discard|commit|end|"
    r"rollback|abort|explain|--|/\*)"
)
_FIRST_COMMAND = re.compile(_BEGINNING)
_LATER_COMMAND = re.compile(f";{_BEGINNING}")
_INTO = re.compile(r"\binto\b[^;(',]{0,100}?temp")
_WORD = re.compile(r"[a-z]+")

#: A name, perhaps with a schema or the like before it.
_PART = r'(?:[^\W\d][\w$]*|"\d+")'
_NAME = rf"{_PART}(?: ?\. ?{_PART})*"
_SET_TIME_ZONE = re.compile(r"time zone (.*)")
_SET_NAME = re.compile(rf"({_NAME}) ?(?:=|\bto\b) ?(.*)")
_FIRST_NAME = re.compile(_NAME)
_TABLE = rf"(?:table|sequence|(?:recursive )?view) (?:if not exists )?({_NAME})?"
_TEMPORARY = re.compile(
    rf"create (?:or replace )?(?:(?:global |local )?temp(?:orary)? |(?=[a-z ]*pg_temp ?\.))(?:unlogged )?{_TABLE}"
)
#: Anything else that is made in the schema of temporary tables.
_OTHER_TEMPORARY = re.compile(r"create (?:or replace )?(?:[a-z]+ ){1,3}(?:if not exists )?pg_temp ?\.")
_INTO_TEMPORARY = re.compile(
    rf"(?<!insert )(?<!merge )\binto (?:(?:global |local )?temp(?:orary)? (?:table )?|(?=pg_temp ?\.))({_NAME})?"
)
_RENAME = re.compile(rf"alter (?:table|sequence|view|index) (?:if exists )?(?:only )?({_NAME})(?: ?\*)? rename to ")
_DROP = re.compile(rf"drop (?:table|sequence|view) (?:if exists )?({_NAME}(?: ?, ?{_NAME})*)")
_DECLARE = re.compile(rf"declare ({_NAME}) .*?\bcursor with hold\b")
_LOAD = re.compile(r"load '(\d+)'")
_FUNCTION = re.compile(r"(?<![\w$])(set_config|set_limit|pg_(?:try_)?advisory_(?:un)?lock(?:_shared|_all)?) ?\(")
_UPDATE_SETTINGS = re.compile(r"\bupdate (?:only )?(?:pg_catalog ?\. ?)?pg_settings\b")
_EXPLAIN = re.compile(r"explain (?:\(([^)]*)\) ?|((?:(?:analy[sz]e|verbose) )*))")
#: What has a body in SQL that is not executed now.
_DEFINITION = re.compile(
    r"create (?:or replace )?(?:(?:global |local )?temp(?:orary)? )?(?:function|procedure|(?:recursive )?view|rule)\b"
)
_LITERAL = re.compile(r"'(\d+)'(?: ?:: ?\w+)?")
#: A call without a value, which resets. It stands alone: as a part of a query it might be left out.
_RESET_BY_FUNCTION = re.compile(r"select (?:pg_catalog ?\. ?)?set_config ?\( ?'\d+' ?, ?null ?, ?(?:false|'\d+') ?\)")
_PUNCTUATION = re.compile(r"[(),]")

#: The longest list of arguments that is read, in characters.
_LONGEST_ARGUMENTS = 1000
_TRUE = ("t", "true", "y", "yes", "on", "1")
#: The client encoding that Django and the drivers need, as it may be written.
_UTF8 = ("utf8", "utf-8", "unicode")
#: The settings that RESET ALL leaves as they are.
NOT_RESET_WITH_ALL = ("role", "session_authorization")
#: Other names of settings, in the syntax of SET.
_ALIASES = {"schema": "search_path", "names": "client_encoding", "seed": "seed", "xml": "xmloption"}


def operations_of(text: str) -> tuple[Operation, ...]:
    """Return what the statements of a text do to the state of their session, in order.

    If the text has a ROLLBACK, what it undoes doesn't count as undone.
    """
    if not _may_matter(text.lower()):
        return ()
    statements = _without_bodies(statements_of(text))
    found = [operation for statement in statements for operation in _operations_of(statement)]
    if any(operation.effect is Effect.ROLL_BACK for operation in found):
        found = [operation for operation in found if operation.effect is not Effect.UNDO]
    return tuple(found)


def _may_matter(text: str) -> bool:
    return (
        any(word in text for word in _WORDS)
        or _FIRST_COMMAND.match(text) is not None
        or (";" in text and _LATER_COMMAND.search(text) is not None)
        or ("into" in text and "temp" in text and _INTO.search(text) is not None)
    )


def _without_bodies(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Leave out the statements of which a function is made: ``BEGIN ATOMIC`` to ``END``."""
    is_in_body = False
    for statement in statements:
        if not is_in_body:
            yield statement
            is_in_body = statement.code.startswith("create ") and " begin atomic" in statement.code
        elif statement.code == "end":
            is_in_body = False


def _operations_of(statement: Statement) -> Iterator[Operation]:
    code = statement.code.lstrip("( ")
    if (explained := _EXPLAIN.match(code)) is not None:
        if "analy" not in explained[0]:
            return  # It is not executed.
        code = code[explained.end() :]
    word = _WORD.match(code)
    command = _COMMANDS.get(word[0]) if word is not None else None
    if command is not None:
        yield from command(statement, code)
    elif (into := _INTO_TEMPORARY.search(code)) is not None:
        yield Operation(Effect.DO, "temporary_table", _table(statement, into[1]))
    if not _DEFINITION.match(code):
        yield from _by_functions(statement, code)
    if _UPDATE_SETTINGS.search(code):
        yield Operation(Effect.DO, "setting")


# Commands, by their first word


def _set(statement: Statement, code: str) -> Iterator[Operation]:
    rest = code.removeprefix("set ")
    word = rest.partition(" ")[0]
    if word in ("local", "transaction", "constraints"):
        return
    if rest.startswith("session characteristics"):
        yield Operation(Effect.DO, "setting", "session characteristics")
        return
    if not rest.startswith("session authorization "):
        rest = rest.removeprefix("session ")
    if rest.startswith("transaction "):
        return
    name, value = _setting_of(statement, rest)
    given = _literal(statement, value.replace('"', "'")) or value
    if name == "client_encoding" and given.lower() in _UTF8:
        return
    is_default = value == "default" or (name, given) in (("timezone", "local"), ("role", "none"))
    yield Operation(Effect.UNDO if is_default else Effect.DO, "setting", name)


def _setting_of(statement: Statement, rest: str) -> tuple[str | None, str]:
    """Return name and value of what SET sets."""
    if (zone := _SET_TIME_ZONE.match(rest)) is not None:
        return "timezone", zone[1]
    if rest.startswith("session authorization "):
        return "session_authorization", rest.removeprefix("session authorization ")
    if (assignment := _SET_NAME.match(rest)) is not None:
        return _setting(statement, assignment[1]), assignment[2]
    word, _, value = rest.partition(" ")
    return ("role", value) if word == "role" else (_ALIASES.get(word), value)


def _reset(statement: Statement, code: str) -> Iterator[Operation]:
    rest = code.removeprefix("reset ")
    spelt = {"time zone": "timezone", "session authorization": "session_authorization"}.get(rest)
    name = None if rest == "all" else spelt or _setting(statement, rest)
    if name is not None or rest == "all":
        yield Operation(Effect.UNDO, "setting", name)


def _listen(statement: Statement, code: str) -> Iterator[Operation]:
    yield Operation(Effect.DO, "listen", _identifier(statement, code.removeprefix("listen ")))


def _unlisten(statement: Statement, code: str) -> Iterator[Operation]:
    yield from _undo_one_or_all("listen", statement, code.removeprefix("unlisten").strip(), "*")


def _prepare(statement: Statement, code: str) -> Iterator[Operation]:
    rest = code.removeprefix("prepare ")
    if rest.startswith("transaction "):
        yield Operation(Effect.COMMIT)  # What was set stays set.
    else:
        yield Operation(Effect.DO, "prepared_statement", _first_name(statement, rest))


def _deallocate(statement: Statement, code: str) -> Iterator[Operation]:
    rest = code.removeprefix("deallocate ").removeprefix("prepare ")
    yield from _undo_one_or_all("prepared_statement", statement, rest, "all")


def _declare(statement: Statement, code: str) -> Iterator[Operation]:
    if (declared := _DECLARE.match(code)) is not None:
        yield Operation(Effect.DO, "cursor_with_hold", _identifier(statement, declared[1]))


def _close(statement: Statement, code: str) -> Iterator[Operation]:
    yield from _undo_one_or_all("cursor_with_hold", statement, code.removeprefix("close "), "all")


def _create(statement: Statement, code: str) -> Iterator[Operation]:
    found = _TEMPORARY.match(code)
    if found is not None and "on commit drop" not in code:
        yield Operation(Effect.DO, "temporary_table", _table(statement, found[1]))
    elif found is None and _OTHER_TEMPORARY.match(code):
        yield Operation(Effect.DO, "temporary_table")


def _alter(statement: Statement, code: str) -> Iterator[Operation]:
    renamed = _RENAME.match(code)
    if renamed is not None:
        yield Operation(Effect.RENAME, "temporary_table", _table(statement, renamed[1]))


def _drop(statement: Statement, code: str) -> Iterator[Operation]:
    dropped = _DROP.match(code)
    for name in dropped[1].split(",") if dropped is not None else ():
        if _schema(statement, name.strip()) in ("", "pg_temp") and (table := _table(statement, name.strip())):
            yield Operation(Effect.UNDO, "temporary_table", table)


def _load(statement: Statement, code: str) -> Iterator[Operation]:
    loaded = _LOAD.match(code)
    yield Operation(Effect.DO, "loaded_library", None if loaded is None else statement.quoted[int(loaded[1])])


def _discard(_statement: Statement, code: str) -> Iterator[Operation]:
    what = code.removeprefix("discard ")
    if what == "all":
        yield Operation(Effect.UNDO)
    elif what in ("temp", "temporary"):
        yield Operation(Effect.UNDO, "temporary_table")


def _commit(_statement: Statement, code: str) -> Iterator[Operation]:
    if "prepared" not in code:
        yield Operation(Effect.COMMIT)


def _roll_back(_statement: Statement, _code: str) -> Iterator[Operation]:
    yield Operation(Effect.ROLL_BACK)


_COMMANDS: dict[str, Callable[[Statement, str], Iterator[Operation]]] = {
    "set": _set,
    "reset": _reset,
    "listen": _listen,
    "unlisten": _unlisten,
    "prepare": _prepare,
    "deallocate": _deallocate,
    "declare": _declare,
    "close": _close,
    "create": _create,
    "alter": _alter,
    "drop": _drop,
    "load": _load,
    "discard": _discard,
    "commit": _commit,
    "end": _commit,
    "rollback": _roll_back,
    "abort": _roll_back,
}


def _undo_one_or_all(kind: StateKind, statement: Statement, rest: str, everything: str) -> Iterator[Operation]:
    name = None if rest == everything else _identifier(statement, rest)
    if name is not None or rest == everything:
        yield Operation(Effect.UNDO, kind, name)


# Functions


def _by_functions(statement: Statement, code: str) -> Iterator[Operation]:
    for call in _FUNCTION.finditer(code):
        function = call[1]
        if function == "set_config":
            yield from _set_config(statement, _arguments(code, call.end()))
        elif function == "set_limit":
            yield Operation(Effect.DO, "setting", "pg_trgm.similarity_threshold")
        elif "unlock" in function:
            yield Operation(Effect.RELEASE, "advisory_lock")
        else:
            yield Operation(Effect.TRY if "try" in function else Effect.DO, "advisory_lock")


def _set_config(statement: Statement, arguments: list[str]) -> Iterator[Operation]:
    name = _literal(statement, arguments[0]) if arguments else None
    name = None if name is None else name.strip().lower()
    is_local = len(arguments) == 3 and (
        arguments[2].partition(":")[0].strip("() ") == "true" or _literal(statement, arguments[2]) in _TRUE
    )
    if not is_local:
        is_reset = name is not None and _RESET_BY_FUNCTION.fullmatch(statement.code) is not None
        yield Operation(Effect.UNDO if is_reset else Effect.DO, "setting", name)


def _arguments(code: str, begin: int) -> list[str]:
    """Return the arguments of a call, from behind its parenthesis; none if the end is too far away."""
    found, start, depth = [], begin, 0
    for mark in _PUNCTUATION.finditer(code, begin, begin + _LONGEST_ARGUMENTS):
        if mark[0] == "(":
            depth += 1
        elif mark[0] == ")" and depth:
            depth -= 1
        elif not depth:
            found.append(code[start : mark.start()].strip())
            start = mark.end()
            if mark[0] == ")":
                return found
    return []


# Names


def _literal(statement: Statement, code: str) -> str | None:
    found = _LITERAL.fullmatch(code)
    return None if found is None else statement.quoted[int(found[1])]


def _setting(statement: Statement, code: str) -> str | None:
    """Return the name of a setting, which is the same in any case; None if the text doesn't say it."""
    name = _identifier(statement, code)
    return None if name is None else name.lower()


def _first_name(statement: Statement, code: str) -> str | None:
    found = _FIRST_NAME.match(code)
    return None if found is None else _identifier(statement, found[0])


def _identifier(statement: Statement, code: str) -> str | None:
    """Return a name without its quotes; None if it is written with escapes, or is no name but a parameter."""
    if re.fullmatch(_NAME, code) is None:
        return None
    parts = []
    for part in code.replace(" ", "").split("."):
        name = statement.quoted[int(part[1:-1])] if part[0] == '"' else part
        if name is None:
            return None
        parts.append(name)
    return ".".join(parts)


def _schema(statement: Statement, code: str) -> str | None:
    """Return the schema before a table's name; empty if there is none."""
    schema, _, _table_name = code.rpartition(".")
    return _identifier(statement, schema.strip()) if schema else ""


def _table(statement: Statement, code: str | None) -> str | None:
    return None if code is None else _identifier(statement, code.rpartition(".")[2].strip())
