"""A detector as two files: what is read is what was written, and each file holds its own half."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from embedding_helpers import Scene, bits, fitted_to, restarted, synthetic
from safetensors.numpy import load

from detector.artefact import FORMAT, decision_bytes, fit_bytes, read_fit, with_decision
from detector.detector import Detector
from detector.errors import ArtefactError
from detector.options import Options
from detector.scorers import SCORERS
from detector.scorers.prototype import Prototype
from detector.spec import Spec
from detector.tensor_file import pack

SPEC = Spec("bolts", "se-lite0", "f" * 64, "fusion", "squeeze_stats")
GROUPS = [f"lot {i % 2}" for i in range(20)]


def small(version: int = 1) -> Detector:
    """Return a calibrated detector of few numbers; they depend on the version."""
    fitted = fitted_to(Detector(SPEC, version=version), synthetic(version, 12))
    contributions = fitted.contributions(synthetic(version + 1, 20))
    anomalies = np.array([1e3, -0.0, 1 / 3])
    return fitted.calibrate(contributions, 0.05, groups=GROUPS, anomalies=anomalies)


def parsed(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return header and tensors as any program that knows safetensors reads them."""
    outer = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return json.loads(outer["__metadata__"]["gatewatch"]), load(content)


def test_a_detector_on_real_pictures_restarts_as_it_was(calibrated: Detector, scene: Scene) -> None:
    """Law: restart = same state; scores and verdicts bit by bit."""
    read = restarted(calibrated)

    assert bits(read) == bits(calibrated)
    for embedding in (scene.fresh, scene.anomalous):
        assert read.scores(embedding).tobytes() == calibrated.scores(embedding).tobytes()
        assert bits(read.judge(embedding)) == bits(calibrated.judge(embedding))


@pytest.mark.parametrize("scorer", list(SCORERS))
def test_every_state_restarts_as_it_was(scorer: str) -> None:
    """Law: restart = same state: created, fitted, calibrated, every kind of line, stale."""
    options = Options(
        normalise="zscore", blocks=("second",), covariance="diagonal", memory=9, evidence=5
    )
    spec = Spec("Bolts.2_a-b", "se-lite0", "\u00df \"'\n", scorer, "", 64, "fixed", options)
    created = Detector(spec, np.array([[0, 7], [255, 9]], np.uint8), version=7)
    fitted = fitted_to(created, synthetic(3, 9))
    parts = fitted.contributions(synthetic(4, 20))
    nothing = fitted.calibrate(parts[:0], anomalies=np.array([7.0]))
    without_line = fitted.calibrate(parts, groups=["\u00df", ""] * 10)
    known = fitted.calibrate(parts, 0.1, groups=GROUPS, anomalies=np.array([0.1 + 0.2, 1e300]))
    lives = {
        "created": created,
        "fitted": fitted,
        "no scores": nothing,
        "scores, but no line": without_line,
        "calibrated": known,
        "by hand, without scores": fitted.decide("manual", {"value": 0.1 + 0.2}),
        "by hand": known.decide("manual", {"value": -1e-300}),
        "by group": known.decide("conformal", {"target": 0.2}, by_group=True),
        "with a band": known.decide("conformal", {"target": 0.1}, review_target=0.4),
        "from anomalies": known.decide("f1", {}),
        "extended": known.learn(known.statistics_of(synthetic(5, 4)), extend=True),
        "reduced": known.forget(known.statistics_of(synthetic(3, 9).images(slice(0, 2)))),
    }

    for name, detector in lives.items():
        read = restarted(detector)
        assert bits(read) == bits(detector), name
        assert (read.state, read.stale) == (detector.state, name in ("extended", "reduced"))


def test_a_read_detector_goes_on_living(calibrated: Detector, scene: Scene) -> None:
    """Law: extended after a restart = extended without one; so are its lines."""
    new = calibrated.statistics_of(scene.more)

    assert bits(restarted(calibrated).learn(new, extend=True)) == bits(
        calibrated.learn(new, extend=True)
    )
    line = ("conformal", {"target": 0.2})
    assert bits(restarted(calibrated).decide(*line)) == bits(calibrated.decide(*line))


def test_what_was_read_is_written_as_the_same_files() -> None:
    """Law: writing is a function of the detector: read and written again, not a byte differs."""
    detector = small()
    read = restarted(detector)

    assert fit_bytes(read) == fit_bytes(detector) == fit_bytes(detector)
    assert decision_bytes(read) == decision_bytes(detector) == decision_bytes(detector)


def test_the_fit_is_as_documented() -> None:
    """Contract: float64 tensors, upper triangles, a JSON header; no object of Python's."""
    header, tensors = parsed(fit_bytes(small()))

    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    widths = {"first": 9, "second": 6}  # three statistics of three and of two channels
    expected = {f"{b}/mean": (d,) for b, d in widths.items()}
    expected |= {f"{b}/scatter": (d * (d + 1) // 2,) for b, d in widths.items()}
    expected |= {"regional/mean": (16, 3), "regional/scatter": (4, 6), "regional/counts": (16,)}
    wide = set(expected)
    expected |= {"evidence/keys": (12,), "evidence/squeeze": (12, 5)}
    assert shapes == expected | {"evidence/thumbnail": (12, 3, 2, 2)}
    assert {tensors[name].dtype for name in wide} == {np.dtype(np.float64)}
    assert tensors["evidence/keys"].dtype == np.uint64
    assert (header["kind"], header["format"]) == ("fit", FORMAT)
    assert header["spec"]["backbone_fingerprint"] == "f" * 64
    rows = {"kind": "rows", "n": 12}
    assert header["statistics"] == {
        "first": rows,
        "second": rows,
        "regional": {"kind": "cells", "n": 12},
        "evidence": {"kind": "sample", "limit": 64},
    }


def test_the_decision_is_as_documented() -> None:
    """Contract: scores in order of arrival, known anomalies, groups, the line and what it says."""
    detector = small()
    known, line = detector.calibration, detector.require_threshold()
    header, tensors = parsed(decision_bytes(detector))

    assert known is not None
    assert {name: each.dtype for name, each in tensors.items()} == {
        "scores": np.dtype(np.float64),
        "anomalies": np.dtype(np.float64),
    }
    assert tensors["scores"].tobytes() == detector.scores(synthetic(2, 20)).tobytes()
    assert tensors["anomalies"].tobytes() == np.array([1e3, -0.0, 1 / 3]).tobytes()
    assert (header["kind"], header["format"]) == ("decision", FORMAT)
    assert header["stale"] is False
    assert header["calibration"] == {"groups": GROUPS, "elsewhere": known.elsewhere}
    assert header["threshold"] == {
        "value": line.value,
        "method": "conformal",
        "target": 0.05,
        "statement": line.statement,
        "parameters": {"target": 0.05},
        "by_group": {},
        "review": None,
        "review_target": None,
    }


def test_a_line_that_was_kept_without_its_review_rate_is_read() -> None:
    """Contract: the rate of its review band is not known then, and nothing else is lost."""
    detector = small()
    header, tensors = parsed(decision_bytes(detector))
    del header["threshold"]["review_target"]
    for key in ("sha256", "kind", "format"):
        del header[key]
    read = with_decision(detector, pack("decision", FORMAT, header, tensors), 1)
    assert read.threshold == detector.threshold


def test_a_new_line_changes_the_decision_alone() -> None:
    """Law: the fit's file does not change with line, calibration or number, so it can be shared."""
    fitted = fitted_to(Detector(SPEC), synthetic(1, 12))
    calibrated = fitted.calibrate(fitted.contributions(synthetic(2, 20)), 0.05)
    changes = [
        calibrated.decide("conformal", {"target": 0.1}),
        calibrated.decide("manual", {"value": 3.0}),
        calibrated.having(version=9, threshold=None),
        calibrated.calibrate(fitted.contributions(synthetic(3, 20)), 0.05),
    ]

    assert {fit_bytes(each) for each in (fitted, calibrated, *changes)} == {fit_bytes(fitted)}
    files = [decision_bytes(each) for each in (fitted, calibrated, *changes)]
    assert len(set(files)) == len(files)
    assert max(map(len, files)) < len(fit_bytes(fitted))


def test_the_decision_does_not_change_with_what_was_fitted() -> None:
    """Law: statistics, spec and mask lie in the other file alone."""
    detector = small()
    other = replace(detector, statistics=small(2).statistics, spec=replace(SPEC, name="nuts"))

    assert decision_bytes(other) == decision_bytes(detector)
    assert fit_bytes(other) != fit_bytes(detector)


def test_versions_of_one_fit_share_its_scorer() -> None:
    """Contract: a decision read onto a fit costs no new scorer, and leaves the fit as it was."""
    detector = small()
    fitted = read_fit(fit_bytes(detector))
    fitted.ready()
    before = bits(fitted)

    first = with_decision(fitted, decision_bytes(detector), 4)
    second = with_decision(fitted, decision_bytes(detector.decide("manual", {"value": 1.0})), 5)

    assert first._scorer is second._scorer is fitted._scorer
    assert (fitted.version, first.version, second.version) == (0, 4, 5)
    assert bits(fitted) == before
    assert fitted.state == "fitted"
    assert bits(first.judge(synthetic(9, 5))) == bits(detector.judge(synthetic(9, 5)))


def test_a_scorer_of_a_newer_program_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: an undamaged file that this program cannot run is refused as a file."""
    with monkeypatch.context() as newer:
        newer.setitem(SCORERS, "flow", Prototype)
        content = fit_bytes(Detector(Spec("bolts", "se-lite0", "f", "flow")))

    with pytest.raises(ArtefactError, match="no scorer 'flow'; there is: "):
        read_fit(content)
