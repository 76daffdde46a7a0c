"""A detector as a file: what is loaded is what was saved, and it was written whole."""

import json
import os
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from embedding_helpers import Scene, bits, synthetic
from safetensors import safe_open

from detector.artefact import FORMAT, load_detector, save_detector
from detector.detector import Detector
from detector.errors import ArtefactError
from detector.options import Options
from detector.scorers import SCORERS
from detector.spec import Spec

SPEC = Spec("bolts", "se-lite0", "f" * 64, "fusion", "squeeze_stats")


def small(version: int = 1) -> Detector:
    """Return a calibrated detector of few numbers; they depend on the version."""
    empty = Detector(SPEC, version=version)
    fitted = empty.learn(empty.statistics_of(synthetic(version, 12)), extend=False)
    return fitted.calibrate(fitted.contributions(synthetic(version + 1, 20)), 0.05)


def assert_identical(actual: Detector, expected: Detector) -> None:
    """Compare every field, bit by bit, and the statistics in their order."""
    assert bits(actual) == bits(expected)


def restarted(detector: Detector, directory: Path) -> Detector:
    """Return what a new process would load."""
    path = directory / "7.safetensors"
    save_detector(detector, path)
    return load_detector(path)


def test_a_detector_on_real_pictures_restarts_as_it_was(
    calibrated: Detector, scene: Scene, tmp_path: Path
) -> None:
    """Law: restart = same state; scores and verdicts bit by bit."""
    loaded = restarted(calibrated, tmp_path)

    assert_identical(loaded, calibrated)
    for embedding in (scene.fresh, scene.anomalous):
        assert loaded.scores(embedding).tobytes() == calibrated.scores(embedding).tobytes()
        assert bits(loaded.judge(embedding)) == bits(calibrated.judge(embedding))


@pytest.mark.parametrize("scorer", list(SCORERS))
def test_every_state_restarts_as_it_was(scorer: str, tmp_path: Path) -> None:
    """Law: restart = same state: created, fitted, with a promise, by hand, extended."""
    options = Options(
        normalise="zscore", blocks=("second",), covariance="diagonal", memory=9, evidence=5
    )
    spec = Spec("Bolts.2_a-b", "se-lite0", "\u00df \"'\n", scorer, "", 64, "fixed", options)
    created = Detector(spec, np.array([[0, 7], [255, 9]], np.uint8))
    fitted = created.learn(created.statistics_of(synthetic(3, 9)), extend=False)
    calibrated = fitted.calibrate(fitted.contributions(synthetic(4, 9)), 0.1)
    by_hand = [fitted.with_value(0.1 + 0.2), calibrated.with_value(-1e-300)]
    extended = calibrated.learn(created.statistics_of(synthetic(5, 4)), extend=True)

    for detector in (created, fitted, calibrated, *by_hand, extended):
        loaded = restarted(detector, tmp_path)
        assert_identical(loaded, detector)
        assert loaded.state == detector.state


def test_a_loaded_detector_goes_on_living(
    calibrated: Detector, scene: Scene, tmp_path: Path
) -> None:
    """Law: extended after a restart = extended without one."""
    new = calibrated.statistics_of(scene.more)

    loaded = restarted(calibrated, tmp_path).learn(new, extend=True)

    assert_identical(loaded, calibrated.learn(new, extend=True))


def test_the_file_is_as_documented(tmp_path: Path) -> None:
    """Contract: float64 tensors, upper triangles, a JSON header; no object of Python's."""
    save_detector(small(), tmp_path / "a")

    with safe_open(tmp_path / "a", framework="numpy") as file:
        header = json.loads(file.metadata()["gatewatch"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    widths = {"first": 9, "second": 6}  # three statistics of three and of two channels
    expected = {f"{b}/mean": (d,) for b, d in widths.items()}
    expected |= {f"{b}/scatter": (d * (d + 1) // 2,) for b, d in widths.items()}
    expected |= {"regional/mean": (16, 3), "regional/scatter": (16, 6), "regional/counts": (16,)}
    wide = {*expected, "calibration"}
    expected |= {"evidence/keys": (12,), "evidence/squeeze": (12, 5)}
    assert shapes == expected | {"evidence/thumbnail": (12, 3, 2, 2), "calibration": (20,)}
    assert {tensors[name].dtype for name in wide} == {np.dtype(np.float64)}
    assert tensors["evidence/keys"].dtype == np.uint64
    assert header["format"] == FORMAT
    assert header["spec"]["backbone_fingerprint"] == "f" * 64
    rows = {"kind": "rows", "n": 12}
    assert header["statistics"] == {
        "first": rows,
        "second": rows,
        "regional": {"kind": "cells", "n": 12},
        "evidence": {"kind": "sample", "limit": 64},
    }


def test_directories_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    """Contract: one file, under its own name."""
    path = tmp_path / "bolts" / "deep" / "1.safetensors"

    save_detector(small(1), path)
    save_detector(small(2), path)

    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]
    assert_identical(load_detector(path), small(2))


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_crash_while_writing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Contract: the old file stays whole, and the next save succeeds over what was left."""
    path = tmp_path / "a"
    save_detector(small(1), path)
    before = path.read_bytes()

    def crash(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, call, crash)
        with pytest.raises(OSError, match="no space left"):
            save_detector(small(2), path)

    assert path.read_bytes() == before
    assert_identical(load_detector(path), small(1))
    save_detector(small(3), path)
    assert_identical(load_detector(path), small(3))
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_whole_and_synced_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: every byte is on the disk when the name moves; then the directory is synced."""
    steps: list[str] = []
    sync, move = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        steps.append("directory" if os.fstat(descriptor).st_mode & 0o40000 else "file")
        sync(descriptor)

    def replace(source: Path, target: Path) -> None:
        steps.append("name")
        assert_identical(load_detector(source), small(1))
        assert not target.exists()
        assert source.parent == target.parent  # a rename is atomic on one file system only
        move(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    save_detector(small(1), tmp_path / "a")

    assert steps == ["file", "name", "directory"]


def test_no_reader_sees_half_a_file(tmp_path: Path) -> None:
    """Contract: beside a writer, every load gives one version or the next, whole."""
    path, done = tmp_path / "a", Event()
    versions = {version: small(version) for version in range(1, 31)}
    save_detector(versions[1], path)
    seen: list[Detector | ArtefactError] = []

    def read() -> None:
        while not done.is_set():
            try:
                seen.append(load_detector(path))
            except ArtefactError as error:
                seen.append(error)

    readers = [Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for detector in versions.values():
            save_detector(detector, path)
    finally:
        done.set()
        for reader in readers:
            reader.join()

    assert seen
    saved = {detector.version: detector for detector in versions.values()}
    for loaded in seen:
        assert isinstance(loaded, Detector), loaded
        assert_identical(loaded, saved[loaded.version])
