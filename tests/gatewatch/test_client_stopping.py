"""Folders left early, held up and resumed: against a server that answers when it is told to."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from client_helpers import both, written
from flaky_server import BUSY, SCORED, Flaky, flaky

import gatewatch
from gatewatch import AsyncClient, Client, FileScore, Retries
from gatewatch.answers import ImageResult
from gatewatch.files import AHEAD, LEAVE_S, FolderRun, InOrder

NAMES = [f"{at:03}.png" for at in range(100)]
HEADER = {"gatewatch_results": 1, "detector": "n"}


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "today", dict.fromkeys(NAMES, b"image"))


def said(path: str) -> FileScore:
    result = ImageResult(index=0, name=path, verdict="normal", score=1.0)
    return FileScore(path=path, detector="n", version=1, result=result)


def keeping(path: Path, names: list[str]) -> Path:
    """Write a results file that has these files."""
    rows = [HEADER, *(asdict(said(name)) for name in names)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("order", ["path", "completion"])
@pytest.mark.parametrize("missing", [0, 50])
def test_what_is_kept_holds_up_nothing(
    kind: str, folder: Path, tmp_path: Path, missing: int, order: str
) -> None:
    """Law: however many are kept behind one that is missing, that one is scored."""
    kept = [name for at, name in enumerate(NAMES) if at != missing]
    results = keeping(tmp_path / "results.jsonl", kept)
    with flaky(SCORED) as server:
        for client in both(kind, server.url, retries=0):
            found = client.score_folder("n", folder, results=results, concurrency=1, order=order)
        assert sorted(each.path for each in found) == NAMES
        assert order == "completion" or [each.path for each in found] == NAMES
        assert len(server.asked) == 1


def test_room_ends_only_where_something_is_on_its_way() -> None:
    """Law: a run with files left and nothing on its way would end without them."""
    turns = InOrder(NAMES, "path", [])
    assert list(turns.take(said(name) for name in NAMES[1 : 1 + 2 * AHEAD])) == []
    assert (turns.room(2, 1), turns.room(2, 0)) == (0, 2)
    assert [each.path for each in turns.take([said(NAMES[0])])] == NAMES[: 1 + 2 * AHEAD]
    assert turns.room(2, 1) == 1


def test_a_mask_goes_with_every_file(kind: str, folder: Path, tmp_path: Path) -> None:
    """Law: an open file is read once, whole, whichever files are sent at once."""
    content = os.urandom(700_000)
    path = written(tmp_path, {"mask.png": content}) / "mask.png"
    with flaky(SCORED) as server, path.open("rb") as mask:
        for client in both(kind, server.url, retries=0):
            assert len(client.score_folder("n", folder, mask=mask, concurrency=8)) == len(NAMES)
        assert all(content in asked.body for asked in server.asked)


def test_a_mask_is_part_of_what_a_run_is(folder: Path, tmp_path: Path) -> None:
    """Contract: the same mask goes on, another is another run; one not there is told."""
    results = tmp_path / "results.jsonl"
    polygons = [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]]
    with flaky(SCORED) as server, Client(server.url, retries=0) as client:
        list(client.score_folder("n", folder, results=results, mask=b"one"))
        first = json.loads(results.read_bytes().splitlines()[0])
        assert first == HEADER | {"mask": hashlib.sha256(b"one").hexdigest()}
        same = written(tmp_path, {"mask.png": b"one"}) / "mask.png"
        assert len(list(client.score_folder("n", folder, results=results, mask=same))) == len(NAMES)
        for other in (b"two", polygons, np.zeros((4, 4), np.uint8), None):
            with pytest.raises(gatewatch.ResultsFileError, match="another run"):
                list(client.score_folder("n", folder, results=results, mask=other))
        with pytest.raises(FileNotFoundError):
            client.score_folder("n", folder, mask=tmp_path / "mistyped.png")


@pytest.mark.parametrize(
    "content",
    [
        b"a letter",
        b"two\nlines, the last not whole",
        b"\nblank",
        b'{"a": 1}\n{"b": 2}',
        b"[]\n",
        json.dumps(HEADER).encode() + b'\n{"path": 1}\nrest',
        json.dumps(HEADER).encode() + b"\n[]\nrest",
        json.dumps(HEADER).encode() + b" ",
    ],
    ids=["text", "lines", "blank", "json", "list", "no-score", "no-object", "not-whole"],
)
def test_a_file_of_others_is_left_as_it_is(folder: Path, tmp_path: Path, content: bytes) -> None:
    """Contract: what is no results file is refused, and not a byte of it is changed."""
    path = written(tmp_path, {"foreign": content}) / "foreign"
    with (
        Client("http://127.0.0.1:1", retries=0) as idle,
        pytest.raises(gatewatch.ResultsFileError, match="no results file"),
    ):
        list(idle.score_folder("n", folder, results=path))
    assert path.read_bytes() == content


@pytest.mark.parametrize("whole", [0, 10, len(json.dumps(HEADER))])
def test_a_header_that_was_cut_short_begins_anew(folder: Path, tmp_path: Path, whole: int) -> None:
    path = written(tmp_path, {"results": json.dumps(HEADER).encode()[:whole]}) / "results"
    run = FolderRun("n", folder, path, {})
    with run.opened():
        assert run.todo == NAMES
    assert json.loads(path.read_bytes()) == HEADER


def test_a_name_that_is_not_utf_8(kind: str, tmp_path: Path) -> None:
    """Contract: such a file is scored as the others are."""
    name = os.fsdecode(b"\xff\xe4.png")
    try:
        today = written(tmp_path / "today", {name: b"image", "z.png": b"image"})
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    results = tmp_path / "results.jsonl"
    with flaky(SCORED) as server:
        for client in both(kind, server.url, retries=0):
            for _ in range(2):
                found = client.score_folder("n", today, results=results)
                assert {each.path for each in found} == {name, "z.png"}
                assert all(each.result.score == 1.0 for each in found)
        assert len(server.asked) == 2


@contextlib.contextmanager
def one_then_busy() -> Iterator[Flaky]:
    """A server that has scored one file and then is busy for good."""
    with flaky(SCORED, BUSY) as server:
        yield server


@pytest.mark.parametrize("interrupted", [False, True], ids=["closed", "interrupted"])
def test_who_leaves_does_not_wait_for_retries(folder: Path, interrupted: bool) -> None:
    """Law: pauses end at once, and nothing more is sent."""
    patient = Retries(within_s=1e6, first_s=1e5, most_s=1e5)
    with one_then_busy() as server, Client(server.url, retries=patient) as client:
        run = client.score_folder("n", folder, concurrency=3, order="completion")
        next(run)
        while len(server.asked) < 3:  # one was scored, two are told to come again
            time.sleep(0.01)
        time.sleep(0.3)  # most often they are in their pauses by now
        began_s = time.monotonic()
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                run.throw(KeyboardInterrupt())
        run.close()
        assert time.monotonic() - began_s < LEAVE_S + 30
        asked = len(server.asked)
        time.sleep(0.3)
        assert len(server.asked) == asked


@contextlib.contextmanager
def silent() -> Iterator[tuple[str, socket.socket]]:
    """A server that says nothing: its address, and the socket on which connections come."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", listening


def test_interrupted_while_nothing_is_answered(folder: Path) -> None:
    """Law: Ctrl-C ends the program in seconds, though each request has a minute left."""
    code = (
        "import sys, gatewatch\n"
        "client = gatewatch.Client(sys.argv[1])\n"
        "list(client.score_folder('n', sys.argv[2]))\n"
    )
    with silent() as (url, listening):
        command = [sys.executable, "-c", code, url, str(folder)]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as program:
            asking, _ = listening.accept()
            program.send_signal(signal.SIGINT)
            began_s = time.monotonic()
            _, told = program.communicate(timeout=120)
        asking.close()
        assert time.monotonic() - began_s < LEAVE_S + 30
        assert b"KeyboardInterrupt" in told


def test_who_leaves_an_awaited_folder_does_not_wait(folder: Path) -> None:
    """Law: closed or cancelled, no request and no thread of it is left."""

    async def left() -> float:
        async with AsyncClient(url) as client:
            scores = client.score_folder("n", folder, concurrency=3)
            task = asyncio.ensure_future(anext(scores))
            asking, _ = await asyncio.to_thread(listening.accept)
            began_s = time.monotonic()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await scores.aclose()
            asking.close()
            assert len(asyncio.all_tasks()) == 1
            return time.monotonic() - began_s

    async def closed() -> float:
        patient = Retries(within_s=1e6, first_s=1e5, most_s=1e5)
        async with AsyncClient(busy.url, retries=patient) as client:
            async with contextlib.aclosing(
                client.score_folder("n", folder, concurrency=3, order="completion")
            ) as scores:
                async for _ in scores:
                    break
                began_s = time.monotonic()
            assert len(asyncio.all_tasks()) == 1
            return time.monotonic() - began_s

    with silent() as (url, listening):
        assert asyncio.run(left()) < LEAVE_S + 30
    with one_then_busy() as busy:
        assert asyncio.run(closed()) < LEAVE_S + 30


def test_what_is_on_its_way_is_kept(folder: Path, tmp_path: Path) -> None:
    """Law: an answer that comes soon after the run was left is in the results file."""
    results = tmp_path / "results.jsonl"
    slow: dict[str, Any] = {"pause_s": 0.0}

    class Slowly(Client):
        def _once(self, call: Any) -> Any:
            time.sleep(slow["pause_s"])
            return super()._once(call)

    with flaky(SCORED) as server, Slowly(server.url, retries=0) as client:
        run = client.score_folder("n", folder, concurrency=4, results=results)
        next(run)
        slow["pause_s"] = 0.5
        next(run)
        run.close()
        assert len(server.asked) == results.read_bytes().count(b"\n") - 1
