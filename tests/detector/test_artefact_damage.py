"""Files that are not a detector: damaged, altered, foreign or missing; all refused alike."""

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from embedding_helpers import bits, fitted_to, synthetic
from safetensors import safe_open
from safetensors.numpy import save_file

from detector.artefact import load_detector, save_detector
from detector.detector import Detector
from detector.errors import ArtefactError
from detector.options import Options
from detector.scorers import SCORERS
from detector.scorers.prototype import Prototype
from detector.spec import Spec

WIDTHS = {"a": 2, "b": 1}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a small calibrated detector."""
    options = Options(memory=2, evidence=2)
    spec = Spec("bolts", "se-lite0", "f" * 8, "fusion", "squeeze", mask="fixed", options=options)
    empty = Detector(spec, np.array([[0, 255]], np.uint8), version=3)
    fitted = fitted_to(empty, synthetic(1, 12, WIDTHS, grid=2))
    parts = fitted.contributions(synthetic(2, 9, WIDTHS, grid=2))
    save_detector(fitted.calibrate(parts, 0.1), tmp_path / "file")
    return tmp_path / "file"


def first_tensor_byte(content: bytearray) -> int:
    """Return where the tensors begin: after eight bytes of length and the header."""
    return int(8 + struct.unpack("<Q", content[:8])[0])


@pytest.mark.parametrize("flip", [0x01, 0x80])
def test_a_flipped_bit_among_the_tensors_is_noticed(path: Path, flip: int) -> None:
    """Contract: at every single offset."""
    content = bytearray(path.read_bytes())
    offsets = range(first_tensor_byte(content), len(content))
    rows, cells = 2 + 3 + 1 + 1, 4 * (3 + 6 + 1)
    memory, evidence = 2 * (8 + 3 * 4), 2 * (8 + 3 * 4 + 12)
    padding = len(offsets) - (8 * (rows + cells + 9) + memory + evidence + 2)
    assert padding == 0
    for offset in offsets:
        content[offset] ^= flip
        path.write_bytes(content)
        with pytest.raises(ArtefactError, match="damaged: its digest"):
            load_detector(path)
        content[offset] ^= flip


@pytest.mark.parametrize("flip", [0x01, 0x04])
def test_a_flipped_bit_in_the_header_changes_nothing_unnoticed(path: Path, flip: int) -> None:
    """Contract: at every offset the file is refused or, as for blanks, says what it said."""
    saved, content = bits(load_detector(path)), bytearray(path.read_bytes())
    refused = 0
    for offset in range(first_tensor_byte(content)):
        content[offset] ^= flip
        path.write_bytes(content)
        try:
            assert bits(load_detector(path)) == saved, (offset, content[offset - 9 : offset])
        except ArtefactError:
            refused += 1
        content[offset] ^= flip
    assert refused > first_tensor_byte(content) / 2


def test_a_truncated_file_is_refused(path: Path) -> None:
    """Contract: at every length, the empty file included."""
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ArtefactError):
            load_detector(path)


def test_a_file_with_something_behind_it_is_refused(path: Path) -> None:
    """Contract: no more than was written."""
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ArtefactError):
        load_detector(path)


def test_missing_files_and_directories_are_refused(tmp_path: Path) -> None:
    """Contract: the path is in the message."""
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(ArtefactError, match=str(path)):
            load_detector(path)


def test_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    """Contract: code in a file stays data."""
    ran, path = tmp_path / "ran", tmp_path / "file"

    class Harmful:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
            return Path.touch, (ran,)

    contents = [pickle.dumps(Harmful()), pickle.dumps({"gatewatch": {"format": 1}})]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ArtefactError):
            load_detector(path)
    torch.save({"harmful": Harmful()}, path)
    with pytest.raises(ArtefactError):
        load_detector(path)
    np.save(path.with_suffix(".npy"), np.array([Harmful()], dtype=object), allow_pickle=True)
    with pytest.raises(ArtefactError):
        load_detector(path.with_suffix(".npy"))

    assert not ran.exists()


@pytest.mark.parametrize("metadata", [None, {"made by": "another program"}])
def test_safetensors_of_another_program_are_refused(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    """Contract: a file of weights is no detector."""
    save_file({"weight": np.zeros((3, 3))}, tmp_path / "file", metadata=metadata)
    with pytest.raises(ArtefactError, match="not a readable detector"):
        load_detector(tmp_path / "file")


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the header of a file and write it as a valid safetensors file again."""
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["gatewatch"])
    save_file(tensors, path, metadata={"gatewatch": json.dumps(change(header))})


@pytest.mark.parametrize("number", [1, 3])
def test_another_format_is_refused_by_its_number(path: Path, number: int) -> None:
    """Contract: who runs an older program, or kept an older file, learns which is which."""
    rewrite(path, lambda header: header | {"format": number})
    with pytest.raises(ArtefactError, match=f"has format {number}, this program reads 2"):
        load_detector(path)


def test_a_file_of_the_first_format_is_refused_by_its_number(tmp_path: Path) -> None:
    """Contract: as it was written then: moments of blocks, no kinds of statistics."""
    header = {"format": 1, "spec": {"name": "bolts"}, "blocks": {"a": 12}, "sha256": "0" * 64}
    tensors = {"a/mean": np.zeros(2), "a/scatter": np.zeros(3)}
    save_file(tensors, tmp_path / "file", metadata={"gatewatch": json.dumps(header)})
    with pytest.raises(ArtefactError, match="has format 1, this program reads 2"):
        load_detector(tmp_path / "file")


def with_statistic(**change: object) -> Callable[[dict[str, Any]], Any]:
    """Return the change of what the header says of the first block."""
    return lambda h: h | {"statistics": h["statistics"] | {"a": h["statistics"]["a"] | change}}


ALTERED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "threshold": lambda h: h | {"threshold": h["threshold"] | {"value": 1e9}},
    "no threshold": lambda h: h | {"threshold": None},
    "version": lambda h: h | {"version": 4},
    "name": lambda h: h | {"spec": h["spec"] | {"name": "nuts"}},
    "fingerprint": lambda h: h | {"spec": h["spec"] | {"backbone_fingerprint": "e" * 8}},
    "unknown scorer": lambda h: h | {"spec": h["spec"] | {"scorer": "svm"}},
    "unknown setting": lambda h: h | {"spec": h["spec"] | {"colour": "red"}},
    "unknown option": lambda h: h | {"spec": h["spec"] | {"options": {"colour": "red"}}},
    "statistics turned round": lambda h: (
        h | {"statistics": dict(reversed(h["statistics"].items()))}
    ),
    "a statistic less": lambda h: h | {"statistics": dict(list(h["statistics"].items())[1:])},
    "a statistic more": lambda h: (
        h | {"statistics": h["statistics"] | {"c": {"kind": "rows", "n": 12}}}
    ),
    "statistics in a list": lambda h: h | {"statistics": list(h["statistics"])},
    "count": with_statistic(n=13),
    "another kind": with_statistic(kind="cells"),
    "no such kind": with_statistic(kind="trees"),
    "digest": lambda h: h | {"sha256": "0" * 64},
    "nothing": lambda h: {},
    "a list": lambda h: [h],
    "a number": lambda h: 1,
    "null": lambda h: None,
    **{
        f"no {key}": lambda h, key=key: {k: v for k, v in h.items() if k != key}  # type: ignore[misc]
        for key in ("format", "spec", "version", "statistics", "sha256")
    },
}


@pytest.mark.parametrize("change", list(ALTERED))
def test_an_altered_header_is_refused(path: Path, change: str) -> None:
    """Contract: a threshold is as much part of a detector as a mean is."""
    rewrite(path, ALTERED[change])
    with pytest.raises(ArtefactError):
        load_detector(path)


def test_a_scorer_of_a_newer_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: an undamaged file that this program cannot run is refused as a file."""
    with monkeypatch.context() as newer:
        newer.setitem(SCORERS, "flow", Prototype)
        save_detector(Detector(Spec("bolts", "se-lite0", "f", "flow")), tmp_path / "file")

    with pytest.raises(ArtefactError, match="no scorer 'flow'; there is: "):
        load_detector(tmp_path / "file")


def test_rewriting_without_a_change_is_no_damage(path: Path) -> None:
    """Law: the tests above fail for what they change, not for being rewritten."""
    saved = bits(load_detector(path))

    rewrite(path, lambda header: header)

    assert bits(load_detector(path)) == saved


def test_a_header_that_is_no_json_object_is_refused(path: Path) -> None:
    """Contract: as any other damage."""
    for text in ("", "{", "nan?", "[]", '"text"', "\x00"):
        save_file({"x": np.zeros(1)}, path, metadata={"gatewatch": text})
        with pytest.raises(ArtefactError):
            load_detector(path)
