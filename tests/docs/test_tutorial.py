"""The tutorial, followed by the letter: every command, in order, and what each prints."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pages import ROOT, Block, blocks, commands
from ports import free_port

PAGE = list(blocks(ROOT / "docs" / "tutorial.md"))
SECOND = "second terminal"
NUMBER = re.compile(r"\d+\.\d+")
TOLERANCE = 0.02
"""How far a score may differ from the page's, relatively: engines differ in the last digits."""
LONGEST_S, IN_ALL_S = 300, 15 * 60


def plain(printed: str) -> str:
    """Return what is printed without progress bars, its white space made one."""
    return " ".join(" ".join(line for line in printed.split("\n") if "\r" not in line).split())


def same(expected: str, printed: str) -> bool:
    """Return whether it is what the page shows; … stands for anything, decimals may differ."""
    expected, printed = plain(expected), plain(printed)
    pattern = re.escape(expected).replace("…", ".*?")
    found = re.fullmatch(re.sub(r"\d+\\\.\d+", r"(\\d+\\.\\d+)", pattern), printed)
    numbers = NUMBER.findall(expected)
    return found is not None and all(
        float(given) == pytest.approx(float(shown), rel=TOLERANCE)
        for shown, given in zip(numbers, found.groups(), strict=True)
    )


def test_comparison_tells_differences() -> None:
    """Contract: the test below would else pass whatever is printed."""
    assert same("of 99: 4.603 in …\n", "fit: 1%\rfit: 9%\rfit\nof  99: 4.6031 in map.png\n")
    assert not same("of 99: 4.603", "of 98: 4.603")
    assert not same("of 99: 4.603", "of 99: 4.703")
    assert not same("of 99: 4.603", "of 99: 4.603 and more")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The shell of somebody who has installed it, on a port that is free."""
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("GATEWATCH_")}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "80",
        "GATEWATCH_DEVICE": "cpu",
        "GATEWATCH_ENGINE": "torch",
        "GATEWATCH_PORT": str(port),
        "NO_PROXY": "127.0.0.1,localhost",
    }


def typed(command: str, environment: Mapping[str, str]) -> list[str]:
    """Return what runs a command, at the port that the service has here."""
    here = f"localhost:{environment['GATEWATCH_PORT']}"
    return ["bash", "-c", command.replace("localhost:8000", here)]


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Return what a command prints, on either stream; whether it succeeds is for that to say."""
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    port = environment["GATEWATCH_PORT"]
    # The client asks port 8000 by itself; the commands would go there, too, if they were told.
    there = {"GATEWATCH_URL": f"http://127.0.0.1:{port}"} if command.startswith("python") else {}
    shell = typed(command, environment)
    ended = subprocess.run(shell, cwd=folder, env=environment | there, timeout=LONGEST_S, **both)
    return ended.stdout.decode()


@contextlib.contextmanager
def second_terminal(block: Block, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run a block whose last command does not end by itself, until the tutorial is over."""
    *before, (last, _) = commands(block)
    for command, expected in before:
        assert same(expected, run(command, folder, environment))
    shell, said = typed(last, environment), folder.parent / "second-terminal.log"
    with said.open("wb") as log:
        process = subprocess.Popen(shell, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield
        assert process.poll() is None, said.read_text()
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_tutorial_works_as_it_stands(tmp_path: Path, environment: dict[str, str]) -> None:
    """Contract: each command prints what the page shows, and needs what came before only."""
    folder = tmp_path / "line"
    folder.mkdir()
    tried, began = 0, time.monotonic()
    with contextlib.ExitStack() as running:
        for block in PAGE:
            if block.title == SECOND:
                running.enter_context(second_terminal(block, folder, environment))
            elif block.language == "python":
                (folder / block.title).write_text(block.body)
            elif block.language == "console":
                for command, expected in commands(block):
                    printed = run(command, folder, environment)
                    looked_s = time.monotonic()
                    # A person types more slowly than notices are put into their folder.
                    while command.startswith("ls") and not same(expected, printed):
                        assert time.monotonic() - looked_s < LONGEST_S, f"{block}: {command}"
                        time.sleep(0.5)
                        printed = run(command, folder, environment)
                    assert same(expected, printed), f"{block}: {command}\n{printed}"
                    tried += 1
    assert tried > 10
    assert time.monotonic() - began < IN_ALL_S
    assert (folder / "map.png").stat().st_size > 1000
