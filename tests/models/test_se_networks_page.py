"""The page on SE networks claims nothing without a test: each test that it names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "se-networks.md").read_text()
TESTS = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(?:[\w/]+\.py::)?(test_\w+)`", PAGE))))
def test_named_test_exists(name: str) -> None:
    """Contract: as a function, somewhere below tests/."""
    assert any(f"def {name}(" in text for text in TESTS.values())


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`([\w/]*test_\w+\.py)", PAGE))))
def test_named_file_exists(file: str) -> None:
    """Contract: below tests/ or tests/models/."""
    assert (ROOT / "tests" / file).exists() or (ROOT / "tests" / "models" / file).exists()


@pytest.mark.parametrize("picture", re.findall(r"!\[[^]]*\]\(([^)]+)\)", PAGE))
def test_picture_exists(picture: str) -> None:
    """Contract: beside the page."""
    assert (ROOT / "docs" / picture).exists()
