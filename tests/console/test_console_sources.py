"""What the console's files are made of: everything is used, nothing comes from elsewhere."""

import re
from pathlib import Path

import pytest

from app.console.pages import FILES

SCRIPTS = sorted(FILES.rglob("*.js"))
STYLES = sorted(FILES.rglob("*.css"))
SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
    r"|\beval\(|new Function|srcdoc|setAttribute\(.style|javascript:"
)
"""What would make markup or script of a text."""
IMPORT = re.compile(r"""(?:from|import)\s+"(\.[^"]+)";""")
STYLE_IMPORT = re.compile(r"""@import url\("([^"]+)"\)""")
CLASS = re.compile(r"\.([a-z][a-z-]*)")


def name(path: Path) -> str:
    return path.relative_to(FILES).as_posix()


def code(path: Path) -> str:
    """Return a file without its comments."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    return re.sub(r"(?m)(^|\s)//.*$", "", text)


def reached(first: Path, pattern: re.Pattern[str]) -> set[Path]:
    """Return a file and all that it leads to."""
    found: set[Path] = set()
    ahead = [first]
    while ahead:
        path = ahead.pop()
        if path not in found:
            found.add(path)
            ahead += [(path.parent / other).resolve() for other in pattern.findall(code(path))]
    return found


def test_every_script_is_reached() -> None:
    """Law: from the first one, over imports that all exist."""
    assert reached(FILES / "js" / "main.js", IMPORT) == set(SCRIPTS)


def test_every_style_is_reached() -> None:
    """Law: from the page, over imports that all exist."""
    page = (FILES / "index.html").read_text()
    linked = [FILES / href for href in re.findall(r'href="(css/[^"]+)"', page)]
    assert set().union(*(reached(path, STYLE_IMPORT) for path in linked)) == set(STYLES)


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_says_what_it_is_for(path: Path) -> None:
    """Contract: as every module here does."""
    assert path.read_text().startswith("// ")


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_makes_no_markup_of_text(path: Path) -> None:
    """Law: elements are made by name; the browser would refuse the rest in any case."""
    assert SINKS.findall(code(path)) == []


@pytest.mark.parametrize("path", [*SCRIPTS, *STYLES, FILES / "index.html"], ids=name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    """Law: no address but the one that names the language of drawings, and examples to type."""
    places = re.findall(r"(?:https?:)?//[a-z][^\s\"'`)]*\.[^\s\"'`)]+", code(path))
    assert set(places) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("path", STYLES, ids=name)
def test_every_class_is_used(path: Path) -> None:
    """Law: no style is left that nothing has; classes are written whole, not put together."""
    rules = re.sub(r"url\([^)]*\)|@import[^;]*;|\d*\.\d+", "", code(path))
    selectors = " ".join(re.findall(r"([^{}]+)\{", rules))
    used = " ".join(code(script) for script in SCRIPTS) + (FILES / "index.html").read_text()
    unused = {each for each in CLASS.findall(selectors) if not re.search(rf"\b{each}\b", used)}
    assert unused == set()
