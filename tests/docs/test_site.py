"""The documentation site: it builds without a warning, is whole, and needs no other host."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from pages import ROOT

from reference import PAGES

LOADED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "use": "href",
}
"""What a browser fetches by itself, by element and attribute."""
BUILD_S = 300


class Fetches(HTMLParser):
    """Collects what a page fetches, and the classes of its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.classes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element's address, and its classes."""
        given = dict(attrs)
        self.classes |= set((given.get("class") or "").split())
        if tag in LOADED and given.get("rel") != "canonical":
            self.urls.append(given.get(LOADED[tag]) or "")


def build(config: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    """Build the site in a process of its own, whose warnings are not the tests'."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", site],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=BUILD_S,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT / "mkdocs.yml", folder)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr, built.stderr
    return folder


def named(nav: object) -> Iterator[str]:
    """Yield the pages of a table of contents, at any depth."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict | list):
        for each in nav.values() if isinstance(nav, dict) else nav:
            yield from named(each)


@pytest.mark.slow
def test_every_page_is_in_the_contents_and_built(site: Path) -> None:
    """Contract: pages written by hand and made from the code, each once."""
    contents = list(named(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    written = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(contents) == sorted(written | set(PAGES))
    for page in contents:
        text = (site / page).with_suffix(".html").read_text()
        assert "<h1" in text, page
        # Python's Markdown wants an empty line where GitHub's does not: nothing may be left raw.
        assert not re.search(
            r"^(- |\d\. |\| |```)", re.sub(r"(?s)<pre.*?</pre>", "", text), re.M
        ), page


@pytest.mark.slow
def test_nothing_comes_from_another_host(site: Path) -> None:
    """Contract: no script, style, font or picture; the theme's own diagrams are not used."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        fetched = Fetches(page.read_text())
        assert fetched.urls, page
        assert not [url for url in fetched.urls if re.match(r"(\w+:)?//", url)], page
        assert "mermaid" not in fetched.classes  # the theme would load its script from a CDN
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(\w+:)?//", style.read_text()), style


@pytest.mark.slow
def test_the_search_knows_the_reference(site: Path) -> None:
    """Contract: it works from an index beside the pages, which holds what is made from code."""
    index = json.loads((site / "search" / "search_index.json").read_text())
    places = {entry["location"] for entry in index["docs"]}
    assert "reference/http.html#post-v1-detectors-name-score" in places
    assert "limits.html" in places


@pytest.mark.slow
def test_broken_links_fail_the_build(tmp_path: Path) -> None:
    """Contract: to pages, to anchors, and from the site's root, where it need not lie."""
    docs = tmp_path / "docs"
    docs.mkdir()
    links = [
        "nowhere.md",
        "other.md#nowhere",
        "#nowhere",
        "/other.md",
        "../README.md",
        "other.md#x",
    ]
    (docs / "index.md").write_text("# Home\n\n" + "\n\n".join(f"[x]({link})" for link in links))
    (docs / "other.md").write_text("# X\n")
    ours = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    changed = {"docs_dir": str(docs), "nav": ["index.md", "other.md"], "hooks": []}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(ours | changed))
    built = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert built.returncode == 1
    warned = [line for line in built.stderr.splitlines() if line.startswith("WARNING")]
    assert len(warned) == len(links) - 1, built.stderr
    assert "other.md#x" not in built.stderr
