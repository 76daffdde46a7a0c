"""Law: shards of any number, merged in any order, are the fit of one process; through the commands.

Contract: what cannot be is refused in words, and changes nothing.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bulk_helpers import alike, as_folder, as_tar, detector, pictures
from stub_backbone import stub_embedder
from typer.testing import CliRunner, Result

from app.bulk.part_file import part_bytes, read_part
from app.cli import cli
from app.errors import RowsNotKeptError, StorageUnavailableError
from app.learning import calibrating, fitting
from app.learning.order import Order
from app.main import create_service
from app.settings import Settings
from app.storage import Storage
from app.storage.audit import By
from app.storage.version_reader import Stored
from app.storage.versions import Versions
from detector.detector import Detector

IMAGES = 90
SIZE = ("--image-size", "64")
HELD = ("--hold-out", "0.4", "--calibration-images", "25", "--seed", "3")
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the stub, in a folder with pictures; it ends as expected."""
    as_folder(tmp_path / "top", pictures(IMAGES))
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("app.main.Embedder.load", lambda *_, **__: stub_embedder())

    def ran(*arguments: str, exit_code: int = 0) -> Result:
        ended = CliRunner().invoke(cli, arguments, terminal_width=200)
        if not isinstance(ended.exception, SystemExit | None):
            raise ended.exception
        assert ended.exit_code == exit_code, ended.output
        return ended

    return ran


def stored(name: str) -> Stored:
    """Return what is in service of a detector."""
    storage = Storage.open(Path("data"))
    try:
        return storage.versions.get(name)
    finally:
        storage.close()


def same(one: Detector, other: Detector) -> None:
    """Make sure that two detectors were fitted and calibrated alike."""
    alike(one.statistics, other.statistics)
    assert one.fitted_images == other.fitted_images
    ours, theirs = one.require_calibrated(), other.require_calibrated()
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-6)
    assert ours.groups == theirs.groups
    assert ours.inputs is not None
    assert theirs.inputs is not None
    np.testing.assert_array_equal(ours.inputs, theirs.inputs)
    assert one.require_threshold().value == pytest.approx(other.require_threshold().value, 1e-6)
    assert one.require_threshold().statement == other.require_threshold().statement


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


@pytest.fixture
def parts(run: Run) -> list[str]:
    """Two parts of the pictures."""
    for number in (1, 2):
        shard = ("--shard", f"{number}/2", "--out", f"{number}.part")
        run("fit", "bolts", "top", *SIZE, *HELD, *shard)
    return ["1.part", "2.part"]


def test_parts_that_are_not_all_are_refused(run: Run, parts: list[str]) -> None:
    """Contract: by name; and nothing is made."""
    refused = {
        "1 of 2 shards are missing: 1/2": ["2.part"],
        "are both shard 1/2": ["1.part", "copy.part", "2.part"],
        "other.part is a shard of other images": [*parts, "other.part"],
        "with the same share, number and seed": ["1.part", "seed.part"],
        "different detectors, regions or backbones": ["1.part", "scorer.part"],
        "damaged.part: it is damaged": ["1.part", "damaged.part"],
        "begun.part is not finished": ["1.part", "begun.part"],
        "it is not a readable file": ["top/lot-b/000.png"],
    }
    two = ("--shard", "2/2", "--out")
    run("fit", "bolts", "top/lot-b", *SIZE, *HELD, *two, "other.part")
    run("fit", "bolts", "top", *SIZE, *HELD[:-1], "9", *two, "seed.part")
    run("fit", "bolts", "top", *SIZE, *HELD, *two, "scorer.part", "--scorer", "prototype")
    content = bytearray(Path("2.part").read_bytes())
    part, about = read_part(bytes(content))
    Path("begun.part").write_bytes(part_bytes(part, {**about, "whole": False}))
    content[-9] ^= 1
    Path("damaged.part").write_bytes(content)
    Path("copy.part").write_bytes(Path("1.part").read_bytes())
    for words, files in refused.items():
        assert words in run("merge", "bolts", *files, exit_code=1).stderr
    assert "no detector" in run("score", "bolts", "top", exit_code=1).stderr
    said = run("merge", "bolts", "2.part", "--allow-missing", "--target", "0.2")
    assert "Warning: without shard(s) 1/2" in said.stderr
    assert "image(s) fitted now" in said.stdout


def test_a_part_of_another_detector_is_refused(run: Run, parts: list[str]) -> None:
    """Contract: the detector that is there decides; its options are not given twice."""
    run("fit", "bolts", "top", *SIZE, "--scorer", "prototype")
    assert "other options than 'bolts' has" in run("merge", "bolts", *parts, exit_code=1).stderr
    assert stored("bolts").entry.version.version == 2
    shard = ("--shard", "1/1", "--out", "all.part")
    said = run("fit", "bolts", "top", *SIZE, *HELD, *shard, exit_code=1).stderr
    assert "image_size can only be given to a new one" in said
    run("fit", "bolts", "top", *HELD, *shard)  # as it is stored
    run("merge", "bolts", "all.part")
    assert stored("bolts").detector.spec.scorer == "prototype"


def test_images_that_fail_are_listed(run: Run) -> None:
    """Contract: the first are told, all are in a file; too many are no detector."""
    as_folder(Path("top"), {f"bad/{at}.png": b"no image" for at in range(8)})
    said = run("fit", "bolts", "top", *SIZE, *HELD, "--rejected", "bad.ndjson")
    assert said.stderr.count("left out top/bad/") == 5
    assert "left out 3 more; all are in bad.ndjson" in said.stderr
    listed = [json.loads(line) for line in Path("bad.ndjson").read_text().splitlines()]
    assert [each["name"] for each in listed] == [f"top/bad/{at}.png" for at in range(8)]
    assert all(each["problem"]["status"] == 422 for each in listed)
    less = ("--most-failed", "0.05")
    said = run("fit", "nuts", "top", *SIZE, *HELD, *less, exit_code=1)
    assert f"8 of {IMAGES + 8} images could not be used, more than 5%" in said.stderr
    assert Path("data/bulk/nuts.part").exists()  # to finish otherwise without another look
    assert "no detector" in run("score", "nuts", "top", exit_code=1).stderr
    run("fit", "nuts", "top", *SIZE, *HELD)
    assert not Path("data/bulk/nuts.part").exists()


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


def test_merging_the_same_parts_again_makes_another_line_alone(run: Run, parts: list[str]) -> None:
    """Law: parts are learned once; what they know may be decided otherwise."""
    said = run("merge", "bolts", *parts).stdout
    assert run("merge", "bolts", *parts[::-1]).stdout == said
    assert stored("bolts").entry.version.version == 3
    run("merge", "bolts", *parts, "--target", "0.2")
    known = stored("bolts")
    assert known.entry.version.version == 4
    assert known.detector.require_threshold().target == 0.2
    fitted = known.detector.fitted_images
    run("merge", "bolts", *parts, "--extend")  # asked for, so learned again
    assert stored("bolts").detector.fitted_images == 2 * fitted


@pytest.mark.parametrize(
    "method",
    [("evt", "--target", "0.0001"), ("ksigma", "--parameter", "k=3"), ("f1",)],
    ids=lambda words: words[0],
)
def test_a_line_that_cannot_be_drawn_changes_nothing(method: tuple[str, ...], run: Run) -> None:
    """Contract: neither a version nor a detector is made."""
    held = ("--hold-out", "0.02", "--calibration-images", "1")
    said = run("fit", "bolts", "top", *SIZE, *held, "--method", *method, exit_code=1).stderr
    assert "gatewatch: " in said
    assert "no detector" in run("score", "bolts", "top", exit_code=1).stderr


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


def test_damaged_files_are_told_and_refused(run: Run) -> None:
    """Contract: each of them, before images; no detector, unless it is allowed."""
    for at in range(7):
        path = Path(as_tar(Path(f"{at}.tar"), pictures(10, seed=20 + at)))
        path.write_bytes(path.read_bytes()[:-20_000])
    sources = ("top", *(f"{at}.tar" for at in range(7)))
    assert (
        "7 file(s) are damaged" in run("fit", "bolts", *sources, *SIZE, *HELD, exit_code=1).stderr
    )
    assert "no detector" in run("score", "bolts", "top", exit_code=1).stderr
    allowed = ("--allow-damaged", "--rejected", "bad.ndjson")
    said = run("fit", "bolts", *sources, *SIZE, *HELD, *allowed).stderr
    assert [f"damaged {at}.tar: the images after" in said for at in range(7)] == [True] * 7
    listed = [json.loads(line) for line in Path("bad.ndjson").read_text().splitlines()]
    assert [each["problem"]["rest_of_file"] for each in listed] == [True] * 7


def test_what_was_begun_with_ray_is_not_begun_without(run: Run) -> None:
    Path("data/bulk").mkdir(parents=True)
    Path("data/bulk/bolts.part.ray").write_bytes(b"")
    said = run("fit", "bolts", "top", *SIZE, *HELD, exit_code=1).stderr
    assert "bulk/bolts.part.ray was begun with Ray" in said


def test_too_few_to_calibrate_change_nothing(run: Run) -> None:
    said = run("fit", "bolts", "top", *SIZE, *HELD, "--target", "0.01", exit_code=1).stderr
    assert "99" in said
    assert "larger --hold-out or more --calibration-images" in said
    assert "no detector" in run("score", "bolts", "top", exit_code=1).stderr
    run("fit", "bolts", "top", *SIZE, *HELD)


REFUSED = [
    (["a.tar", "--url", "http://localhost:1"], 2, "runs where its images are"),
    (["top", "--shard", "1/2"], 2, "--shard and --out go together"),
    (["top", "--out", "x"], 2, "--shard and --out go together"),
    (["top", "--shard", "3/2", "--out", "x"], 1, "there is no shard 3/2"),
    (["top", "--shard", "all", "--out", "x"], 1, "write I/N"),
    (["top", "--workers", "2"], 2, "go with --engine ray"),
    (["top", "--engine", "ray", "--decoders", "0"], 2, "greater than or equal to 1"),
    (["top", "--rejected", "nowhere/a.ndjson"], 1, "no file can be written there"),
    (["top", "--method", "cost"], 1, "cost"),
    (["top", "--hold-out", "1"], 1, "the share held out is 1.0"),
    (["top", "--hold-out", "0.1", "--method", "guess"], 1, "no threshold 'guess'"),
    (["top", "--hold-out", "0.1", "--scorer", "psychic"], 1, "no scorer 'psychic'"),
    (["top", "nowhere"], 1, "there is no file or folder nowhere"),
    (["top", "--engine", "spark"], 2, "--engine is here or ray"),
    (["top", "--engine", "ray", "--shard", "1/2", "--out", "x"], 2, "shares the work itself"),
    (["top", "--hold-out", "0.1", "--mask", "top/lot-b/000.png"], 2, "fix one with --roi"),
    (["top", "--hold-out", "0.1", "--group-pattern", "("], 1, "--group-pattern cannot be read"),
]


@pytest.mark.parametrize(("words", "exit_code", "said"), REFUSED, ids=[each[2] for each in REFUSED])
def test_what_cannot_be_is_refused(words: list[str], exit_code: int, said: str, run: Run) -> None:
    ended = run("fit", "bolts", *words, exit_code=exit_code)
    assert said in " ".join(ended.stderr.replace("│", " ").split())


def test_without_ray_it_says_what_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "app.ray.fit", None)
    monkeypatch.delattr("app.ray.fit", raising=False)  # another test may have imported it
    said = run("fit", "bolts", "top", "--engine", "ray", exit_code=1).stderr
    assert "--engine ray needs the extra [ray]" in said


def test_a_shard_needs_no_database(run: Run, parts: list[str]) -> None:
    """Contract: the store is neither made nor asked."""
    assert not Path("data").exists()
    assert read_part(Path(parts[0]).read_bytes())[0].unfitted.spec == detector().spec
