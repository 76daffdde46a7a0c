"""Law: a process that was killed, told to end or refused changes nothing in the result."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from bulk_helpers import PLAN, as_folder, as_parquet, as_tar, detector, part_of, pictures, same

from app.bulk import shard_run
from app.bulk.errors import ChangedSourcesError, PartsMismatchError, TooManyFailedError
from app.bulk.fragments import Shard
from app.bulk.listing import fragments
from app.bulk.part import Allowed, Part
from app.bulk.part_file import read_part
from app.bulk.sources import How
from app.bulk.work import Done, Work, begun, write
from app.errors import StorageUnavailableError
from detector.errors import ArtefactError

IMAGES = 640
"""Ten lots: four ends come between, however slow the machine that tells them."""
PROGRAM = str(Path(__file__).with_name("slow_shard.py"))


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    """Pictures in a folder, a tar and a Parquet file; a tenth of them each elsewhere."""
    some = list(pictures(IMAGES).items())
    return [
        as_folder(tmp_path / "top", dict(some[:320])),
        as_tar(tmp_path / "a.tar", dict(some[320:480])),
        as_parquet(tmp_path / "b.parquet", dict(some[480:]), rows=40),
    ]


def began(kept: Path, least: int, process: subprocess.Popen[str]) -> int:
    """Wait until a file says that so many images are done; return how many."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if kept.exists():
            part, about = read_part(kept.read_bytes())
            if part.images >= least:
                assert not about["whole"]
                return part.images
        time.sleep(0.02)
    raise AssertionError(f"it did not get so far: {process.communicate()}")


def started(sources: list[str], out: Path, folder: Path) -> subprocess.Popen[str]:
    """Start the shard in a process of its own, where there is no data directory."""
    options = ["--hold-out", str(PLAN.share), "--calibration-images", str(PLAN.most)]
    options += ["--seed", str(PLAN.seed), "--image-size", "64"]
    words = ["fit", "bolts", *sources, *options, "--shard", "1/1", "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"GATEWATCH_DATA_DIR": str(folder / "none")},
    )


@pytest.mark.slow
def test_a_shard_that_is_killed_goes_on(sources: list[str], tmp_path: Path) -> None:
    """Law: killed twice, then told to end, then let be: the part of one that was not."""
    expected = part_of(sources, tmp_path / "expected")
    out, seen = tmp_path / "part", 0
    for end in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
        process = started(sources, out, tmp_path)
        before = seen
        seen = began(out, before + 1, process)
        process.send_signal(end)
        process.communicate(timeout=300)
        assert process.returncode == (75 if end == signal.SIGTERM else -end)
        seen = read_part(out.read_bytes())[0].images
        assert before < seen < IMAGES
    last = started(sources, out, tmp_path)
    said, _ = last.communicate(timeout=300)
    assert last.returncode == 0
    assert "shard 1/1 of bolts" in said
    assert not (tmp_path / "none").exists(), "a shard needs no data directory"
    part, about = read_part(out.read_bytes())
    assert about["whole"]
    same(part, expected)
    again = started(sources, out, tmp_path)  # whole already: nothing is done
    assert again.communicate(timeout=300)[0] == said


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_store_that_fails_ends_a_run_that_goes_on(
    after: int, sources: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: wherever it fails, what was done is kept, and counted once."""
    expected = part_of(sources, tmp_path / "expected")
    with monkeypatch.context() as patched:
        made = shard_run.Totals.add
        calls = []

        def add(totals: shard_run.Totals, part: shard_run.Part) -> None:
            calls.append(part.images)
            if len(calls) > after + 1:  # the first is what was done before
                raise StorageUnavailableError("the store fails")
            made(totals, part)

        patched.setattr(shard_run.Totals, "add", add)
        with pytest.raises(StorageUnavailableError):
            part_of(sources, tmp_path)
    kept, about = read_part((tmp_path / "1-of-1.part").read_bytes())
    assert 0 < kept.images < IMAGES
    assert not about["whole"]
    same(part_of(sources, tmp_path), expected)


def test_what_was_begun_of_something_else_is_refused(sources: list[str], tmp_path: Path) -> None:
    """Contract: and is not touched."""
    part_of(sources[:1], tmp_path)
    kept = tmp_path / "1-of-1.part"
    content = kept.read_bytes()
    for wrong in (sources, sources[1:]):
        with pytest.raises(ChangedSourcesError, match="of other images"):
            part_of(wrong, tmp_path)
    with pytest.raises(ChangedSourcesError, match=r"other options: .* same share, number and seed"):
        part_of(sources[:1], tmp_path, plan=replace(PLAN, seed=5))
    Path(sources[0], "new.png").write_bytes(b"")
    with pytest.raises(ChangedSourcesError, match="restore the sources"):
        part_of(sources[:1], tmp_path)
    Path(sources[0], "new.png").unlink()
    kept.rename(tmp_path / "1-of-2.part")
    with pytest.raises(ChangedSourcesError, match="is of shard 1/1"):
        part_of(sources[:1], tmp_path, shard=Shard(1, 2))
    assert (tmp_path / "1-of-2.part").read_bytes() == content


@pytest.mark.parametrize("which", [0, 1, 2], ids=["folder", "tar", "parquet"])
def test_what_was_replaced_under_its_name_is_refused(
    which: int, sources: list[str], tmp_path: Path
) -> None:
    """Contract: of size or time; what was counted is of other images."""
    part_of(sources, tmp_path)
    path = Path(sources[which])
    if path.is_dir():
        path = next(path.rglob("*.png"))
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 10**9))
    with pytest.raises(ChangedSourcesError, match="restore the sources"):
        part_of(sources, tmp_path)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    part_of(sources, tmp_path)


def test_too_many_that_failed_make_no_whole_part(tmp_path: Path) -> None:
    """Contract: it says which file to remove; what is allowed finishes without another look."""
    top = as_folder(tmp_path / "top", {f"{at}.png": b"" for at in range(4)} | pictures(6))
    few = Allowed(most_failed=0.3)
    for _ in range(2):
        with pytest.raises(TooManyFailedError, match=r"4 of 10 .*/1-of-1\.part: remove it to read"):
            part_of([top], tmp_path, allowed=few)
        assert not read_part((tmp_path / "1-of-1.part").read_bytes())[1]["whole"]
    for at in range(4):
        (tmp_path / "top" / f"{at}.png").write_bytes(pictures(1, seed=at)["lot-b/000.png"])
    with pytest.raises(ChangedSourcesError, match="remove the file to begin anew"):
        part_of([top], tmp_path, allowed=few)
    (tmp_path / "1-of-1.part").unlink()
    assert not part_of([top], tmp_path, allowed=few).rejected


def test_a_damaged_file_is_told(sources: list[str], tmp_path: Path) -> None:
    part_of(sources[:1], tmp_path)
    kept = tmp_path / "1-of-1.part"
    content = bytearray(kept.read_bytes())
    content[-9] ^= 1
    kept.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"damaged.*remove it to begin anew"):
        part_of(sources[:1], tmp_path)


def test_what_a_killed_process_had_half_written_is_gone(tmp_path: Path) -> None:
    gone = [".a[1].part.0123.unfinished", ".a[1].part.ray.0123.unfinished"]
    stays = [".a[1].part.notes", ".a1.part.0123.unfinished", ".a[1].parts.0123.unfinished"]
    for name in (*gone, *stays):
        (tmp_path / name).write_bytes(b"half")
    work = Work([], Shard(), How(), tmp_path / "a[1].part")
    none = Part.of(detector(), PLAN, ())
    assert begun(work, none) == (none, Done())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(stays)


@pytest.mark.parametrize("stale", [False, True], ids=["here", "on another machine"])
def test_a_file_is_written_though_another_run_removes_it_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stale: bool
) -> None:
    """Two pods of one shard: the second begins, and clears up, while the first writes."""
    kept, removed = tmp_path / "a.part", []

    def cleared_up(handle: int) -> None:
        if not removed:
            (unfinished,) = tmp_path.glob(".a.part.*")
            unfinished.unlink()
            removed.append(unfinished)
            if stale:
                raise OSError(errno.ESTALE, "as NFS has it")

    monkeypatch.setattr(os, "fsync", cleared_up)
    write(kept, b"whole")
    assert kept.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [kept]
    assert removed


def test_a_folder_that_went_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: shutil.rmtree(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "gone" / "a.part", b"whole")


def test_where_it_was_is_found_in_any_fragment(sources: list[str], tmp_path: Path) -> None:
    """Law: going on after each number of images gives those that follow, once."""
    listed = fragments(sources)
    work = Work(listed, Shard(), How(), tmp_path / "part")
    every = [item.name for item in shard_run._Coming(work, Done())]
    assert len(set(every)) == IMAGES
    for number in (0, 1, 63, 64, 65, 319, 320, 321, 479, 480, 521, IMAGES):
        coming = shard_run._Coming(work, Done())
        before = iter(coming)
        for _ in range(min(number + 5, IMAGES)):  # it is read ahead
            next(before)
        done = coming.done(number)
        rest = shard_run._Coming(work, done)
        assert [item.name for item in rest] == every[number:]
        assert rest.done(0) in (done, Done(done.fragments + 1))


def test_parts_of_one_shard_do_not_add_up(sources: list[str], tmp_path: Path) -> None:
    """Contract: an image that two parts have would count twice."""
    part = part_of(sources[:1], tmp_path)
    totals = shard_run.Totals(part)
    totals.add(part)
    with pytest.raises(PartsMismatchError, match="would count twice"):
        totals.whole()
