"""The pages of the documentation, and the fenced blocks in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^\1```$", re.M | re.S)
INDENTED = re.compile(r"(?:^\n)((?:^ {4}[^\n]*\n)+)", re.M)
SHELLS = ("sh", "bash", "console")


@dataclass(frozen=True)
class Block:
    """A fenced block, where it begins, and what its first line says of it."""

    path: Path
    line: int
    language: str
    title: str
    body: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return every page that is written by hand."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(path: Path) -> Iterator[Block]:
    """Yield a page's fenced blocks; those that are indented instead count as shell's."""
    page = path.read_text()
    for found in FENCE.finditer(page):
        title = re.search(r'title="([^"]*)"', found[3])
        line = page.count("\n", 0, found.start()) + 1
        yield Block(path, line, found[2], title[1] if title else "", found[4])
    for found in INDENTED.finditer(FENCE.sub("", page)):
        if re.match(r" +(gatewatch|curl|GATEWATCH_)", found[1]):
            yield Block(path, 0, "sh", "", re.sub("^    ", "", found[1], flags=re.M))


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a console, joined to one line, and what it prints."""
    for part in re.split(r"^\$ ", block.body, flags=re.M)[1:]:
        command, _, printed = part.replace("\\\n", " ").partition("\n")
        yield command, printed


def shell(block: Block) -> str:
    """Return what a block types, without what it prints."""
    if block.language == "console":
        return "\n".join(command for command, _ in commands(block))
    return block.body.replace("\\\n", " ")
