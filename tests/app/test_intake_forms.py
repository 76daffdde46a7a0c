"""Forms that begin a job: their fields, in any order, and what is wrong with them."""

import json
from pathlib import Path

import pytest
from upload_helpers import (
    BOUNDARY,
    FORM,
    contents,
    form,
    part,
    take,
)

from app.errors import (
    InvalidGroupError,
    MalformedUploadError,
    RefusedMemberError,
)
from app.intake.grouping import Grouping
from app.intake.spool import SpoolFile


def test_form_brings_masks_anomalies_and_groups(tmp_path: Path) -> None:
    """Contract: in any order of fields; roles and groups are those of each image."""
    groups = json.dumps({"a.png": "x", "b.png": ""})
    body = form(
        part(groups.encode(), field="groups", file=None),
        part(b"bad", field="anomalies", file="b.png"),
        part(b"[[[0,0],[1,0],[1,1]]]", field="mask", file=None),
        part(b"good", file="a.png"),
        part(b"other", file="c.png"),
    )
    take(tmp_path, body, FORM, anomalies=True, grouping=Grouping("rest"))
    found = contents(tmp_path / "spool")
    assert [(e.name, e.role, e.group) for e, _ in found] == [
        ("b.png", "anomaly", ""),
        ("a.png", "normal", "x"),
        ("c.png", "normal", "rest"),
    ]
    with SpoolFile(tmp_path / "spool") as images:
        assert images.mask == "[[[0,0],[1,0],[1,1]]]"
    take(tmp_path, form(part(b"\xff\0", field="mask", file="m.png"), part(b"good")), FORM)
    with SpoolFile(tmp_path / "spool") as images:
        assert images.mask == b"\xff\0"
    take(tmp_path, form(part(b"good")), FORM)
    with SpoolFile(tmp_path / "spool") as images:
        assert images.mask is None


def test_forms_may_repeat_names(tmp_path: Path) -> None:
    """Contract: clients send base names; only who names one of them has to tell them apart."""
    twice = [part(b"one"), part(b"two")]
    assert take(tmp_path, form(*twice), FORM).images == 2
    with pytest.raises(InvalidGroupError, match=r"2 images are called so"):
        take(tmp_path, form(*twice, part(b'{"a.png": "x"}', field="groups", file=None)), FORM)


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([part(b"one", field="image")], "unexpected field 'image': send files, named 'images'"),
        ([part(b"one", field="anomalies")], "unexpected field 'anomalies'"),
        ([part(b"one", file=None)], "'images' is text, not a file: with curl, images=@FILE$"),
        ([part(b"one", field="samples", file=None)], "'samples' is text, .*samples=@FILE$"),
        ([part(b"m", field="mask")] * 2, "'mask' comes twice"),
        ([part(b"{}", field="groups")] * 2, "'groups' comes twice"),
        ([f"--{BOUNDARY}\r\nX-Other: 1\r\n\r\none\r\n".encode()], "no name of a field"),
        ([b"--other\r\n\r\n"], "cannot be read"),
    ],
)
def test_malformed_forms_are_refused(parts: list[bytes], complaint: str, tmp_path: Path) -> None:
    """Contract: saying what is wrong, and leaving nothing."""
    with pytest.raises(MalformedUploadError, match=complaint):
        take(tmp_path, form(*parts), FORM)


@pytest.mark.parametrize("parameters", ["", "; boundary=", f"; boundary={'x' * 2000}"])
def test_form_needs_a_boundary(parameters: str, tmp_path: Path) -> None:
    """Contract: without one, or with an impossible one, nothing can be read."""
    with pytest.raises(MalformedUploadError, match="cannot be read"):
        take(tmp_path, form(part(b"one")), f"multipart/form-data{parameters}")


@pytest.mark.parametrize("name", ["a\0b.png", "a\x01.png", "\x7f"])
def test_names_with_control_characters_are_refused(name: str, tmp_path: Path) -> None:
    """Contract: as in archives; PostgreSQL could not keep a zero byte."""
    with pytest.raises(RefusedMemberError, match="control characters: rename it"):
        take(tmp_path, form(part(b"one", file=name)), FORM)
