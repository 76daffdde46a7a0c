"""The examples of docs/client.md, run as they stand against a live server."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from client_helpers import SIDE_PX, STUB, encode, written
from real_server import Server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with pictures beside a server, as the page takes for granted."""
    import numpy as np

    def png(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        return encode(rng.integers(90, 160, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8), "PNG")

    counts = {"good": range(40), "held-out": range(100, 140), "today": range(200, 206)}
    for name, seeds in counts.items():
        written(tmp_path / name, {f"{at}.png": png(seed) for at, seed in enumerate(seeds)})
    (tmp_path / "server").mkdir()
    settings = {"GATEWATCH_TRAINING_SECONDS": "5"}
    with Server(tmp_path / "server" / "data", settings, STUB).serving() as server:
        monkeypatch.setenv("GATEWATCH_URL", f"http://127.0.0.1:{server.port}")
        monkeypatch.chdir(tmp_path)
        yield tmp_path


def test_there_are_examples() -> None:
    """Contract: the test below would pass on a page without any."""
    assert len(EXAMPLES) >= 7
    assert PAGE.count("```python") == len(EXAMPLES)


def test_the_examples_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Contract: one after the other, each with what those before it have made."""
    pytest.importorskip("pandas")
    known: dict[str, object] = {"__name__": "examples"}
    for number, example in enumerate(EXAMPLES):
        exec(compile(example, f"docs/client.md, example {number + 1}", "exec"), known)
    said = capsys.readouterr().out
    assert "6 flagged; 0 not scored" in said
    assert (place / "today.csv").read_text().count("\n") == 7
    assert (place / "bricks.gatewatch").stat().st_size > 1000
    assert "tiles" in said
