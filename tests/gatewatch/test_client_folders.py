"""Folders scored file by file: in order, at once, resumed, and through the server's death."""

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from client_helpers import NAME, STUB, Both, both, calibrated, picture, written
from http_helpers import SIDE_PX, encode
from real_server import Server

import gatewatch
from gatewatch import Client, Retries, ScoreTable

FILES = {f"{'in/' if seed % 2 else ''}{seed:03}.bmp": picture(seed) for seed in range(12)}
DIM = 40
"""Level of pictures that take the stub a while."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clutter = {".DS_Store": b"x", "notes.txt": b"x", "._a.png": b"x", "__MACOSX/b.png": b"x"}
    return written(tmp_path / "today", FILES | clutter)


def slow_picture(seed: int) -> bytes:
    """Return a picture on which the stub takes its time."""
    rng = np.random.default_rng(seed)
    return encode(rng.integers(10, DIM, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8), "BMP")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("order", ["path", "completion"])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_every_image_once(client: Both, folder: Path, order: str, concurrency: int) -> None:
    """Law: the scores are those of single requests; the order is that of the paths if wanted."""
    found = client.score_folder(NAME, folder, order=order, concurrency=concurrency)
    assert sorted(each.path for each in found) == sorted(FILES)
    if order == "path" or concurrency == 1:
        assert [each.path for each in found] == sorted(FILES, key=lambda name: name.split("/"))
    alone = {path: client.score(NAME, content).score for path, content in FILES.items()}
    for each in found:
        assert each.result.score == pytest.approx(alone[each.path], rel=1e-9)
        assert (each.detector, each.result.problem) == (NAME, None)


def test_files_that_cannot_be_scored_are_told_one_by_one(
    client: Both, folder: Path, tmp_path: Path
) -> None:
    """Contract: no image, too large, not readable; the others go on."""
    (folder / "bad.png").write_bytes(b"no image")
    (folder / "huge.png").write_bytes(bytes(21_000_000))
    (folder / "gone.png").symlink_to(tmp_path / "nowhere")
    results = tmp_path / "results.jsonl"
    found = ScoreTable(client.score_folder(NAME, folder, results=results, progress=True))
    problems = {each.path: each.result.problem for each in found.invalid}
    assert {path: problem.status for path, problem in problems.items() if problem} == {
        "bad.png": 422,
        "huge.png": 413,
        "gone.png": 0,
    }
    assert len(found) == len(FILES) + 3
    kept = [line["path"] for line in lines(results)[1:]]
    assert sorted(kept) == sorted([*FILES, "bad.png", "huge.png"])


def test_a_second_run_goes_on(client: Both, folder: Path, tmp_path: Path) -> None:
    """Law: what is kept is not sent again, and what both runs yield is the whole, once."""
    results = tmp_path / "results.jsonl"
    first = client.score_folder(NAME, folder, results=results)
    whole = results.read_bytes()
    cut = whole[: whole.rindex(b'"path"') + 20]  # as a crash leaves it: the last line not whole
    results.write_bytes(cut)
    before = {each.result.id for each in first}
    second = client.score_folder(NAME, folder, results=results)
    assert [each.path for each in second] == [each.path for each in first]
    assert len({each.result.id for each in second} - before) == 1
    written_twice = [line["path"] for line in lines(results)[1:]]
    assert sorted(written_twice) == sorted(FILES)


def test_a_results_file_belongs_to_one_run(client: Both, folder: Path, tmp_path: Path) -> None:
    """Contract: other runs, other files and two runs at once are refused; nothing is changed."""
    results = tmp_path / "results.jsonl"
    client.score_folder(NAME, folder, results=results)
    before = results.read_bytes()
    for other in ({"group": "g"}, {"version": 2}, {"allow_stale": True}):
        with pytest.raises(gatewatch.ResultsFileError, match="another run"):
            client.score_folder(NAME, folder, results=results, **other)
    assert results.read_bytes() == before
    with (
        Client("http://127.0.0.1:1", retries=0) as idle,
        pytest.raises(gatewatch.ResultsFileError, match="no results file"),
    ):
        list(idle.score_folder(NAME, folder, results=written(tmp_path, {"x": b"a\n"}) / "x"))


def test_two_runs_at_once(url: str, folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    with Client(url) as client:
        first = client.score_folder(NAME, folder, results=results)
        next(first)
        with pytest.raises(gatewatch.ResultsFileError, match="another run writes"):
            next(client.score_folder(NAME, folder, results=results))
        assert len(list(first)) == len(FILES) - 1


def test_who_stops_early_loses_nothing(url: str, folder: Path, tmp_path: Path) -> None:
    """Law: what was sent is kept, so that no image is scored twice."""
    results = tmp_path / "results.jsonl"
    name = "early"
    with Client(url) as client:
        calibrated(url, tmp_path, name)
        run = client.score_folder(name, folder, results=results, concurrency=3)
        next(run)
        run.close()
        list(client.score_folder(name, folder, results=results))
        deadline_s = time.monotonic() + 60
        while len(seen := list(client.history(name))) < len(FILES):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        assert sorted(each.name for each in seen) == sorted(FILES)


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"order": "size"}])
def test_wrong_arguments_are_told_at_once(client: Both, folder: Path, wrong: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        client.score_folder(NAME, folder, **wrong)
    with pytest.raises(NotADirectoryError):
        client.score_folder(NAME, folder / "none")
    with pytest.raises(gatewatch.UnknownDetectorError):
        client.score_folder("nobody", folder)


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_the_server_restarts_in_the_middle(
    kind: str, how: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: every file has one result, whether the server was stopped in order or killed."""
    files = {f"{seed:03}.bmp": slow_picture(seed) for seed in range(60)}
    today = written(tmp_path / "today", files)
    results = tmp_path / "results.jsonl"
    with Server(tmp_path / "data", {}, STUB).serving() as server:
        port = server.port
        calibrated(f"http://127.0.0.1:{port}", tmp_path)
        monkeypatch.setattr("real_server.free_port", lambda: port)  # it comes back where it was

        def restart() -> None:
            deadline_s = time.monotonic() + 120
            while not results.exists() or results.read_bytes().count(b"\n") < 15:
                assert time.monotonic() < deadline_s, "too little was scored"
                time.sleep(0.01)
            server.end(how)
            server.start()

        thread = threading.Thread(target=restart, daemon=True)
        thread.start()
        for client in both(kind, f"http://127.0.0.1:{port}"):
            found = client.score_folder(NAME, today, results=results, concurrency=4)
        thread.join(120)
        assert not thread.is_alive()
        assert [each.path for each in found] == sorted(files)
        assert all(each.result.score is not None for each in found)
        assert sorted(line["path"] for line in lines(results)[1:]) == sorted(files)
        if how == signal.SIGKILL:  # the last notes of a killed server are the history's to lose
            return
        deadline_s = time.monotonic() + 60
        with Client(f"http://127.0.0.1:{port}") as plain:
            while {each.name for each in plain.history(NAME)} != set(files):
                assert time.monotonic() < deadline_s, "the history has not kept them all"
                time.sleep(0.2)


def test_a_server_that_stays_away_ends_the_run(tmp_path: Path, folder: Path) -> None:
    """Contract: the run ends with what is wrong, and the next one goes on."""
    results = tmp_path / "results.jsonl"
    with Server(tmp_path / "data", {}, STUB).serving() as server:
        url = f"http://127.0.0.1:{server.port}"
        calibrated(url, tmp_path)
        with Client(url, retries=Retries(most=2, first_s=0.01)) as client:
            run = client.score_folder(NAME, folder, results=results, concurrency=2)
            next(run)
            server.end(signal.SIGKILL)
            with pytest.raises(gatewatch.ServerUnreachableError):
                list(run)
        done = len(lines(results)) - 1
        assert 1 <= done < len(FILES)
        server.start()
        with Client(f"http://127.0.0.1:{server.port}") as client:
            assert len(list(client.score_folder(NAME, folder, results=results))) == len(FILES)
    assert sorted(line["path"] for line in lines(results)[1:]) == sorted(FILES)


def test_tables(url: str, folder: Path) -> None:
    """Contract: a row for each file, a column for each field."""
    pandas = pytest.importorskip("pandas")
    with Client(url) as client:
        table = ScoreTable(client.score_folder(NAME, folder))
        frame = table.to_dataframe()
        assert isinstance(frame, pandas.DataFrame)
        assert list(frame["path"]) == [each.path for each in table]
        assert list(frame["score"]) == [each.result.score for each in table]
        assert {"region.left", "timings_ms.forward"} <= set(frame.columns)
        parts = [name for name in frame.columns if name.startswith("contributions.")]
        assert frame[parts].sum(axis=1).tolist() == pytest.approx(list(frame["score"]))
        batch = client.score_batch(NAME, folder).to_dataframe()
        assert len(batch) == len(FILES)
        assert len(table.flagged) == sum(bool(each.result.flagged) for each in table)
