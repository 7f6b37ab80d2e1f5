"""SQL cut into statements, without what only looks like SQL in it: literals, quoted names and comments."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: What begins a literal, a quoted name or a comment, and what ends a statement.
_OPENING = re.compile(r"(?<![\w$])(?:[eE]'|[uU]&[\"'])|['\"]|--|/\*|(?<![\w$])\$(?:[^\W\d]\w*)?\$|;")
#: The rest of each kind, up to its end; none may take longer for a text that lacks the end.
_STRING = re.compile(r"[^']*(?:''[^']*)*")
_ESCAPED_STRING = re.compile(r"[^'\\]*(?:(?:''|\\.)[^'\\]*)*", re.DOTALL)
_QUOTED_NAME = re.compile(r"[^\"]*(?:\"\"[^\"]*)*")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_END_OF_LINE = re.compile(r"[\r\n]")
#: A quoted name that is the same without the quotes.
_PLAIN_NAME = re.compile(r"(?!(?:all|default|local|none|session|temp|temporary)\Z)[a-z_][a-z0-9_]*")


@dataclass
class Statement:
    """One statement of a text."""

    #: In lower case, with single spaces. A literal is ``'0'``, a quoted name that needs its quotes is ``"0"``: numbers
    #: in ``quoted``.
    code: str
    #: What the quotes of the whole text enclose; None where that is written with escapes.
    quoted: list[str | None]


@dataclass
class _Reader:
    text: str
    #: The pieces of the statement that is being read.
    pieces: list[str] = field(default_factory=list)
    quoted: list[str | None] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)

    def read(self) -> list[Statement]:
        text, position = self.text, 0
        while opening := _OPENING.search(text, position):
            self.pieces.append(text[position : opening.start()].lower())
            position = self._skip(opening[0], opening.end())
        self.pieces.append(text[position:].lower())
        self._end_statement()
        return self.statements

    def _end_statement(self) -> None:
        code = " ".join("".join(self.pieces).split())
        if code:
            self.statements.append(Statement(code, self.quoted))
        self.pieces = []

    def _skip(self, opening: str, position: int) -> int:
        """Read what begins before a position; return where it ends."""
        text = self.text
        if opening == ";":
            self._end_statement()
            return position
        if opening == "--":
            line_end = _END_OF_LINE.search(text, position)
            return len(text) if line_end is None else line_end.start()
        if opening == "/*":
            self.pieces.append(" ")
            return self._end_of_comment(position)
        if opening[0] == "$":
            end = text.find(opening, position)
            end = len(text) if end < 0 else end
            self._quote("'", text[position:end])
            return end + len(opening)
        return self._skip_quotes(opening, position)

    def _skip_quotes(self, opening: str, position: int) -> int:
        quote = opening[-1]
        pattern = _QUOTED_NAME if quote == '"' else _ESCAPED_STRING if opening[0] in "eE" else _STRING
        rest = pattern.match(self.text, position)
        assert rest is not None, "each of the patterns matches nothing, too"
        content = rest[0].replace(quote * 2, quote)
        if quote == '"' and opening == quote and _PLAIN_NAME.fullmatch(content):
            self.pieces.append(f" {content} ")
        else:
            self._quote(quote, None if opening[0] in "uU" or "\\" in content else content)
        return rest.end() + 1

    def _quote(self, quote: str, content: str | None) -> None:
        self.pieces.append(f" {quote}{len(self.quoted)}{quote} ")
        self.quoted.append(content)

    def _end_of_comment(self, position: int) -> int:
        depth = 1
        while depth and (edge := _COMMENT_EDGE.search(self.text, position)):
            depth += 1 if edge[0] == "/*" else -1
            position = edge.end()
        return len(self.text) if depth else position


def statements_of(text: str) -> list[Statement]:
    """Return the statements of a text, which is read once from its beginning to its end, whatever is in it."""
    return _Reader(text).read()
