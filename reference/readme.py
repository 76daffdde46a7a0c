"""Guides that are chapters of the README: one text, two places."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
CHANGELOG = README.with_name("CHANGELOG.md")
CHAPTERS = {
    "guides/http.md": "From pictures to verdicts",
    "guides/command-line.md": "Without a server",
    "guides/keys.md": "Keys",
    "guides/images.md": "Images",
    "guides/deploy.md": "Docker",
    "guides/measure.md": "Measure it on your pictures",
    "how-it-works.md": "How it works",
}
"""The heading of the chapter that each page is."""


def chapter(path: str) -> str:
    """Return a chapter as a page, without the chapters below it that are pages themselves."""
    (_, level, title, body) = next(
        found for found in chapters(README.read_text()) if found[2] == CHAPTERS[path]
    )
    others = [title for title in CHAPTERS.values() if title != CHAPTERS[path]]
    for _, below, name, text in chapters(body):
        if below > level and name in others:
            body = body.replace(f"{'#' * below} {name}\n{text}", "")
    return f"# {title}\n{linked(body, path)}"


def changelog() -> str:
    """Return what has changed, as a page."""
    return linked(CHANGELOG.read_text(), "changelog.md")


def chapters(page: str) -> list[tuple[int, int, str, str]]:
    """Return where each chapter begins, its level, its title and all up to the next as high."""
    # A comment in a shell's block looks like a heading: it is blanked, length for length.
    bare = re.sub(r"^```.*?^```$", lambda block: " " * len(block[0]), page, flags=re.M | re.S)
    heads = list(re.finditer(r"^(#+) (.+)\n", bare, re.M))
    found = []
    for at, head in enumerate(heads):
        level = len(head[1])
        ends = (after.start() for after in heads[at + 1 :] if len(after[1]) <= level)
        found.append((head.start(), level, head[2], page[head.end() : next(ends, len(page))]))
    return found


def linked(text: str, path: str) -> str:
    """Return text of the repository's root with its links as they are from a page of the site."""
    up = "../" * path.count("/")
    text = re.sub(r"\]\(docs/", f"]({up}", text)
    # What is not part of the site is named and not linked.
    return re.sub(r"\[([^]]+)\]\(((?!https?:|\.\./|#)[^)]*/[^)]*|[A-Z]+\.md)\)", r"\1 (`\2`)", text)
