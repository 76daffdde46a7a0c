"""Law: shards of any number, merged in any order, are the fit of one process; by the commands."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from bulk_command_helpers import HELD, IMAGES, SIZE, Run, same, stored
from bulk_helpers import alike, as_folder, as_tar, pictures
from stub_backbone import stub_embedder

from app.errors import RowsNotKeptError, StorageUnavailableError
from app.learning import calibrating, fitting
from app.learning.order import Order
from app.main import create_service
from app.settings import Settings
from app.storage import Storage
from app.storage.audit import By
from app.storage.version_reader import Stored
from app.storage.versions import Versions


def test_any_number_of_shards_in_any_order_is_one_process(run: Run) -> None:
    """Law: moments to 1e-10, the same images held out, the same line."""
    grouped = ("--group-pattern", "(lot-[^/]+)/")
    said = run("fit", "whole", "top", *SIZE, *HELD, *grouped)
    whole = stored("whole").detector
    assert "at most 5 % are flagged on average" in said.stdout
    assert whole.calibration_images == 25
    assert len(set(whole.require_calibrated().groups)) == 2
    for of in range(1, 6):
        parts = [f"{number}-of-{of}.part" for number in range(1, of + 1)]
        for number, part in enumerate(parts, 1):
            shard = ("--shard", f"{number}/{of}", "--out", part)
            run("fit", f"of-{of}", "top", *SIZE, *HELD, *grouped, *shard)
        order = parts[of // 2 :][::-1] + parts[: of // 2]
        merged = run("merge", f"of-{of}", *order)
        assert merged.stdout == said.stdout.replace("whole", f"of-{of}")
        same(stored(f"of-{of}").detector, whole)
    assert sorted(Path("data").glob("bulk/*")) == []  # nothing is left to go on with


def test_without_holding_out_it_is_the_ordinary_fit(run: Run) -> None:
    """Law: the same images in, moments to 1e-10; and as uncalibrated."""
    run("fit", "ordinary", "top", *SIZE)
    for number in (1, 2):
        shard = ("--shard", f"{number}/2", "--out", f"{number}.part", "--hold-out", "0")
        run("fit", "merged", "top", *SIZE, *shard)
    said = run("merge", "merged", "2.part", "1.part").stdout
    assert "Next: gatewatch calibrate merged FOLDER" in said
    one, other = stored("ordinary"), stored("merged")
    alike(one.detector.statistics, other.detector.statistics)
    assert (other.detector.fitted_images, other.detector.calibration) == (IMAGES, None)
    storage = Storage.open(Path("data"))
    lists = [storage.versions.images(each.entry) for each in (one, other)]
    storage.close()
    named = [{(each.sha256, each.name, each.group) for each in images} for images in lists]
    assert named[0] == named[1]
    assert all(image.rows_blob for image in lists[0])
    assert not any(image.rows_blob for image in lists[1])


def test_the_whole_way(run: Run) -> None:
    """Contract: what was merged scores, calibrates again without images, is extended."""
    for number in (1, 2):
        shard = ("--shard", f"{number}/2", "--out", f"{number}.part")
        run("fit", "bolts", "top", *SIZE, *HELD, *shard)
    run("merge", "bolts", "1.part", "2.part", "--target", "0.1", "--reason", "a new line")
    as_folder(Path("odd"), {"odd.png": pictures(1, seed=99)["lot-b/000.png"]})
    assert "anomalous" in run("score", "bolts", "odd").stdout
    known = stored("bolts")
    parameters = known.entry.version.parameters
    assert parameters["hold_out"] == 0.4
    assert parameters["seed"] == 3
    assert parameters["method"] == "conformal"
    assert known.entry.version.reason == "a new line"

    async def again() -> Stored:
        async with create_service(Settings(), stub_embedder()) as service:
            order = Order(By("a test"), "again")
            learned = await calibrating.calibrate(service, "bolts", None, order, None)
            held = service.storage.versions.calibration_images(learned.stored.entry)
            assert len(held) == 25
            fitted = service.storage.versions.images(learned.stored.entry)
            one = Order(By("a test"), "forget")
            with pytest.raises(RowsNotKeptError, match="fit the images that shall stay"):
                await fitting.forget(service, "bolts", one, digests=[fitted[0].sha256], groups=[])
            return learned.stored

    same(asyncio.run(again()).detector, known.detector)
    before = known.detector.fitted_images
    more = as_tar(Path("more.tar"), pictures(30, seed=8))
    said = run("fit", "bolts", more, "top/lot-b", "--extend", *HELD, "--target", "0.2").stdout
    fitted = stored("bolts").detector
    assert "fitted in all" in said
    assert fitted.fitted_images > before + 15
    assert not fitted.stale


def test_images_that_were_fitted_before_do_not_calibrate(run: Run) -> None:
    """Contract: an extension that holds out what the detector has learned leaves it out."""
    run("fit", "bolts", "top", *SIZE)
    shard = ("--shard", "1/1", "--out", "part")
    run("fit", "bolts", "top", *HELD, "--extend", *shard)
    said = run("merge", "bolts", "part", "--extend", exit_code=1).stderr
    assert "no image was held out" in said
    assert stored("bolts").entry.version.version == 2


@pytest.mark.parametrize("extend", [(), ("--extend",)], ids=["replace", "extend"])
@pytest.mark.parametrize("fails", [1, 2, 3], ids=["first", "second", "after"])
def test_what_ends_while_it_finishes_is_finished_once(
    fails: int, extend: tuple[str, ...], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: wherever it ends, the same command makes the versions that one made at once."""
    as_folder(Path("more"), pictures(IMAGES, seed=8))
    names = ("once", "twice")
    for name in names:
        run("fit", name, "top", *SIZE, *HELD)
    more = ("more", *HELD, *extend)
    run("fit", "once", *more)
    made, calls = Versions.add, []

    def add(*arguments: Any, **options: Any) -> Stored:
        calls.append(1)
        if len(calls) == fails:
            raise StorageUnavailableError("the store fails")
        return made(*arguments, **options)

    def unlink(*_: object, **_options: object) -> None:
        raise StorageUnavailableError("the store fails")

    with monkeypatch.context() as patched:
        patched.setattr(Versions, "add", add)
        if fails == 3:
            patched.setattr("app.commands.bulk._say", unlink)
        assert "the store fails" in run("fit", "twice", *more, exit_code=75).stderr
    said = run("fit", "twice", *more).stdout
    assert "held out: threshold" in said
    one, other = map(stored, names)
    same(one.detector, other.detector)
    assert one.entry.version.version == other.entry.version.version == 5
    assert one.entry.tip == other.entry.tip == 5


@pytest.mark.parametrize(
    "words",
    [
        ("--target", "0.2"),
        ("--seed", "0"),
        ("--calibration-images", "25"),
        ("--most-failed", "0.1"),
        ("--rejected", "bad.ndjson"),
        ("--method", "ksigma", "--parameter", "k=3"),
    ],
    ids=lambda words: words[0],
)
def test_what_only_a_fit_at_large_knows_makes_it_one(words: tuple[str, ...], run: Run) -> None:
    """Contract: no option is passed over in silence."""
    line = () if words[0] in ("--target", "--method") else ("--method", "manual")
    value = ("--parameter", "value=1") if line else ()
    said = run("fit", "bolts", "top", *SIZE, *words, *line, *value).stdout
    assert "held out: threshold" in said
