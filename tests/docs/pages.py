"""The pages, and the blocks of code in them, as Sybil collects them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sybil import Example as Region
from sybil.document import Document
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A block of code, and where it stands."""

    page: Path
    line: int
    source: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(language: str) -> list[Block]:
    """Return the blocks of all pages that are marked as written in a language."""

    def never(_example: Region) -> None:
        """Blocks are run by tests, in processes of their own, not where Sybil has found them."""

    parser = CodeBlockParser(language, never)
    return [
        Block(page, example.line, example.parsed)
        for page in PAGES
        for example in Document.parse(str(page), parser).examples()
    ]
