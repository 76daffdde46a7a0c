"""Files that are not a detector: damaged, altered, foreign or mixed up; all refused alike."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from embedding_helpers import bits, fitted_to, synthetic
from safetensors.numpy import load, save

from detector.artefact import FORMAT, decision_bytes, fit_bytes, read_fit, with_decision
from detector.detector import Detector
from detector.errors import ArtefactError
from detector.options import Options
from detector.spec import Spec
from detector.tensor_file import pack

WIDTHS = {"a": 2, "b": 1}
GROUPS = [*"xxxxxyyyy"]
Header = dict[str, Any]
Tensors = dict[str, np.ndarray]

both_files = pytest.mark.parametrize("kind", ["fit", "decision"])


def whole() -> Detector:
    """Return a small calibrated detector."""
    options = Options(memory=2, evidence=2)
    spec = Spec("bolts", "se-lite0", "f" * 8, "fusion", "squeeze", mask="fixed", options=options)
    empty = Detector(spec, np.array([[0, 255]], np.uint8), version=3)
    fitted = fitted_to(empty, synthetic(1, 12, WIDTHS, grid=2))
    parts = fitted.contributions(synthetic(2, 9, WIDTHS, grid=2))
    known = fitted.calibrate(parts, groups=GROUPS, anomalies=np.array([1e3]))
    return known.decide("conformal", {"target": 0.2}, by_group=True)


DETECTOR = whole()
FITTED = read_fit(fit_bytes(DETECTOR))
FILES = {"fit": fit_bytes(DETECTOR), "decision": decision_bytes(DETECTOR)}


def read(kind: str, content: bytes) -> Any:
    """Return what a file says, comparable to the bit."""
    return bits(read_fit(content) if kind == "fit" else with_decision(FITTED, content, 3))


def beginning(content: bytes | bytearray) -> int:
    """Return where the tensors begin: after eight bytes of length and the header."""
    return 8 + int.from_bytes(content[:8], "little")


def parsed(content: bytes) -> tuple[Header, Tensors]:
    """Return header and tensors, whatever the digest says."""
    outer = json.loads(content[8 : beginning(content)])
    return json.loads(outer["__metadata__"]["gatewatch"]), load(content)


@both_files
@pytest.mark.parametrize("flip", [0x01, 0x80])
def test_a_flipped_bit_among_the_tensors_is_noticed(kind: str, flip: int) -> None:
    """Contract: at every single offset."""
    content = bytearray(FILES[kind])
    offsets = range(beginning(content), len(content))
    rows, cells = 2 + 3 + 1 + 1, 4 * (3 + 1) + 6  # one square
    memory, evidence = 2 * (8 + 3 * 4), 2 * (8 + 3 * 4 + 12)
    sizes = {"fit": 8 * (rows + cells) + memory + evidence + 2, "decision": 8 * (9 + 1)}
    assert len(offsets) == sizes[kind]  # no padding, which could change unnoticed
    for offset in offsets:
        content[offset] ^= flip
        with pytest.raises(ArtefactError, match="damaged: its digest"):
            read(kind, bytes(content))
        content[offset] ^= flip


@both_files
@pytest.mark.parametrize("flip", [0x01, 0x04])
def test_a_flipped_bit_in_the_header_changes_nothing_unnoticed(kind: str, flip: int) -> None:
    """Contract: at every offset the file is refused or, as for blanks, says what it said."""
    said, content = read(kind, FILES[kind]), bytearray(FILES[kind])
    refused = 0
    for offset in range(beginning(content)):
        content[offset] ^= flip
        try:
            assert read(kind, bytes(content)) == said, (offset, content[offset - 9 : offset])
        except ArtefactError:
            refused += 1
        content[offset] ^= flip
    assert refused > beginning(content) / 2


@both_files
def test_a_truncated_file_is_refused(kind: str) -> None:
    """Contract: at every length, the empty file included; and one with something behind it."""
    for length in range(len(FILES[kind])):
        with pytest.raises(ArtefactError):
            read(kind, FILES[kind][:length])
    with pytest.raises(ArtefactError):
        read(kind, FILES[kind] + b"\0")


def test_files_that_were_mixed_up_are_refused() -> None:
    """Contract: neither half can be read as the other, and the message names both."""
    with pytest.raises(ArtefactError, match=r"this is 'decision' .* needed is 'fit'"):
        read("fit", FILES["decision"])
    with pytest.raises(ArtefactError, match=r"this is 'fit' .* needed is 'decision'"):
        read("decision", FILES["fit"])


def resaved(content: bytes, change: Callable[[Header], Any]) -> bytes:
    """Return the file with its header changed, but not its digest."""
    header, tensors = parsed(content)
    return save(tensors, metadata={"gatewatch": json.dumps(change(header))})


def resealed(kind: str, header: Header, tensors: Tensors) -> bytes:
    """Return a file whose digest is right, whatever it says."""
    told = {key: each for key, each in header.items() if key not in ("kind", "format", "sha256")}
    return pack(kind, FORMAT, told, tensors)


@both_files
@pytest.mark.parametrize("number", [*range(1, FORMAT), FORMAT + 1])
def test_another_format_is_refused_by_its_number(kind: str, number: int) -> None:
    """Contract: who runs an older program, or kept an older file, learns which is which."""
    with pytest.raises(
        ArtefactError, match=f"of format {number}, needed is '{kind}' of format {FORMAT}: "
    ):
        read(kind, resaved(FILES[kind], lambda header: header | {"format": number}))


def test_files_of_the_first_formats_are_refused() -> None:
    """Contract: as they were written then: one file for all, without a kind."""
    for number in (1, 2):
        header = {"format": number, "spec": {"name": "bolts"}, "version": 1, "sha256": "0" * 64}
        tensors = {"a/mean": np.zeros(2), "a/scatter": np.zeros(3), "calibration": np.zeros(9)}
        content = save(tensors, metadata={"gatewatch": json.dumps(header)})
        for kind in FILES:
            with pytest.raises(ArtefactError, match="not a readable file of gatewatch"):
                read(kind, content)


def within(key: str, **change: object) -> Callable[[Header], Any]:
    """Return the change of some values under a key of the header."""
    return lambda h: h | {key: h[key] | change}


def with_statistic(**change: object) -> Callable[[Header], Any]:
    """Return the change of what the header says of the first block."""
    return lambda h: h | {"statistics": h["statistics"] | {"a": h["statistics"]["a"] | change}}


def without(key: str) -> Callable[[Header], Any]:
    """Return the change that leaves a key out."""
    return lambda h: {k: v for k, v in h.items() if k != key}


ALTERED: dict[str, dict[str, Callable[[Header], Any]]] = {
    "fit": {
        "name": within("spec", name="nuts"),
        "fingerprint": within("spec", backbone_fingerprint="e" * 8),
        "unknown scorer": within("spec", scorer="svm"),
        "unknown setting": within("spec", colour="red"),
        "unknown option": within("spec", options={"colour": "red"}),
        "statistics turned round": lambda h: (
            h | {"statistics": dict(reversed(h["statistics"].items()))}
        ),
        "a statistic less": lambda h: h | {"statistics": dict([*h["statistics"].items()][1:])},
        "a statistic more": within("statistics", c={"kind": "rows", "n": 12}),
        "statistics in a list": lambda h: h | {"statistics": list(h["statistics"])},
        "count": with_statistic(n=13),
        "another kind": with_statistic(kind="cells"),
        "no such kind": with_statistic(kind="trees"),
        **{f"no {key}": without(key) for key in ("spec", "statistics")},
    },
    "decision": {
        "value": within("threshold", value=1e9),
        "no longer stale": lambda h: h | {"stale": not h["stale"]},
        "a group's line": within("threshold", by_group={"x": 1e9}),
        "unknown promise": within("threshold", colour="red"),
        "infinite": within("threshold", value=float("inf")),
        "an empty band": within("threshold", review=1e9),
        "a threshold in a list": lambda h: h | {"threshold": [1.0]},
        "no line": lambda h: h | {"threshold": None},
        "no scores": lambda h: h | {"calibration": None},
        "groups": within("calibration", groups=["y"] * 9),
        "a group less": within("calibration", groups=["y"] * 8),
        "no groups": within("calibration", groups=None),
        "elsewhere": within("calibration", elsewhere=1.0),
        "nowhere": within("calibration", elsewhere=float("nan")),
        **{f"no {key}": without(key) for key in ("stale", "threshold", "calibration")},
    },
}
POSSIBLE = {
    *("name", "fingerprint", "statistics turned round", "a statistic less", "count"),
    *("value", "no longer stale", "a group's line", "no line", "no scores", "groups", "elsewhere"),
}
"""Changes after which the file would describe another detector, were its digest right."""

every_change = pytest.mark.parametrize(
    ("kind", "change"), [(kind, change) for kind in ALTERED for change in ALTERED[kind]]
)


@every_change
def test_an_altered_header_is_refused(kind: str, change: str) -> None:
    """Contract: a threshold is as much part of a detector as a mean is."""
    altered = resaved(FILES[kind], ALTERED[kind][change])
    with pytest.raises(ArtefactError, match="damaged: its digest"):
        read(kind, altered)


@every_change
def test_a_sealed_header_that_describes_nothing_is_refused(kind: str, change: str) -> None:
    """Contract: by the same error, where a program, not chance, wrote what cannot be."""
    header, tensors = parsed(FILES[kind])
    content = resealed(kind, ALTERED[kind][change](header), tensors)
    if change in POSSIBLE:
        assert read(kind, content) != read(kind, FILES[kind])
        return
    with pytest.raises(ArtefactError, match="it does not describe a detector: "):
        read(kind, content)


@pytest.mark.parametrize("name", ["regional/scatter", "regional/counts", "regional/mean"])
def test_a_sealed_file_whose_cells_do_not_fit_together_is_refused(name: str) -> None:
    """Contract: NumPy would spread one square over all cells, and say nothing."""
    header, tensors = parsed(FILES["fit"])
    twice = np.concatenate([tensors[name], tensors[name]])
    with pytest.raises(ArtefactError, match=r"not describe a detector: .* (squares|grid)"):
        read("fit", resealed("fit", header, tensors | {name: twice}))


@pytest.mark.parametrize(
    "name", ["a/mean", "b/scatter", "regional/counts", "memory/keys", "scores"]
)
def test_a_sealed_file_that_lacks_a_tensor_is_refused(name: str) -> None:
    """Contract: by the same error."""
    kind = "decision" if name == "scores" else "fit"
    header, tensors = parsed(FILES[kind])
    del tensors[name]
    with pytest.raises(ArtefactError, match="it does not describe a detector: "):
        read(kind, resealed(kind, header, tensors))


@both_files
def test_rewriting_without_a_change_is_no_damage(kind: str) -> None:
    """Law: the tests above fail for what they change, not for being rewritten."""
    header, tensors = parsed(FILES[kind])

    for content in (resaved(FILES[kind], lambda h: h), resealed(kind, header, tensors)):
        assert read(kind, content) == read(kind, FILES[kind])
