"""Law: parts of any division of the images, merged in any order, are the part of all of them."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stub_backbone import StubBackbone

from app.bulk.errors import PartsMismatchError
from app.bulk.part import Part, Seen, views_of
from app.bulk.part_file import part_bytes, read_part
from app.bulk.plan import HoldOut
from app.results import Rejected
from detector.detector import Detector
from detector.embedding import Embedding, mirrored
from detector.errors import ArtefactError, InvalidSpecError
from detector.options import Options
from detector.spec import Spec

IMAGES = 60
KEEP = 7
HOLD = HoldOut(share=0.4, most=KEEP, seed=3)


def _detector(**chosen: Any) -> Detector:
    backbone = StubBackbone()
    options = Options(**chosen)
    spec = Spec("bolts", backbone.name, backbone.fingerprint, image_size=64, options=options)
    return Detector(spec)


def _seen(detector: Detector, hold: HoldOut = HOLD) -> list[Seen]:
    """Return images, some of them copies of others, and some that could not be used."""
    backbone, rng = StubBackbone(), np.random.default_rng(5)
    side = detector.spec.image_size
    contents = [rng.integers(0, 255, (3, side, side), np.uint8) for _ in range(IMAGES - 10)]
    contents += contents[:10]
    found = []
    for number, pixels in enumerate(contents):
        sha256 = hashlib.sha256(pixels.tobytes()).hexdigest()
        alone = hold.holds(sha256) or views_of(detector) == 1
        views = [pixels] if alone else mirrored(pixels)
        outcome: Embedding | Rejected = backbone.embed(views)
        if number % 9 == 4:
            outcome = Rejected(f"{number:03d}.png", {"detail": "it is cut short"})
        found.append(Seen(f"{number:03d}.png", f"lot {number % 3}", sha256, outcome))
    return found


def _same(one: Part, other: Part) -> None:
    assert [each.name for each in one.fitted] == [each.name for each in other.fitted]
    assert list(one.rejected) == list(other.rejected)
    assert one.images == other.images == IMAGES
    assert list(one.held.keys) == list(other.held.keys)
    assert list(one.held.images) == list(other.held.images)
    assert one.held.seen == other.held.seen > len(one.held) == KEEP
    assert one.held.rows is not None
    assert other.held.rows is not None
    for name, rows in one.held.rows.blocks.items():
        np.testing.assert_array_equal(rows, other.held.rows.blocks[name])
    assert one.statistics.keys() == other.statistics.keys()
    # scorers judge in float32, which moments do not
    ours, theirs = (each.unfitted.learn(each.statistics, extend=False) for each in (one, other))
    assert ours.fitted_images == theirs.fitted_images == len(one.fitted)
    np.testing.assert_allclose(ours.scores(one.held.rows), theirs.scores(one.held.rows), rtol=1e-6)
    for name, statistic in one.statistics.items():
        for field in ("mean", "scatter"):
            if hasattr(statistic, field):
                _close(getattr(statistic, field), getattr(other.statistics[name], field))


def _close(ours: np.ndarray, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * np.abs(theirs).max())


@pytest.mark.parametrize("options", [{}, {"flips": True}], ids=["plain", "flips"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_parts_in_any_division_and_order_are_the_whole(options: Any, data: st.DataObject) -> None:
    detector = _detector(**options)
    seen = _seen(detector)
    whole = Part.of(detector, HOLD, seen)
    owners = data.draw(st.lists(st.integers(0, 4), min_size=IMAGES, max_size=IMAGES))
    order = data.draw(st.permutations(range(5)))
    parts = [
        Part.of(detector, HOLD, [each for each, to in zip(seen, owners, strict=True) if to == at])
        for at in order
    ]
    cut = data.draw(st.integers(1, 4))
    nested = [Part.merged(parts[:cut]), Part.merged(parts[cut:])]
    _same(Part.merged(parts), whole)
    _same(Part.merged(nested), whole)


def test_a_part_is_the_same_after_a_file() -> None:
    detector = _detector()
    part = Part.of(detector, HOLD, _seen(detector))
    again, about = read_part(part_bytes(part, {"shard": [1, 2]}))
    _same(again, part)
    assert about == {"shard": [1, 2]}
    assert (again.unfitted.spec, again.hold_out) == (detector.spec, HOLD)


def test_a_part_of_nothing_changes_nothing() -> None:
    detector = _detector()
    part, none = Part.of(detector, HOLD, _seen(detector)), Part.of(detector, HOLD, [])
    _same(Part.merged([none, part, none]), part)
    assert read_part(part_bytes(none, {}))[0].images == 0


def test_a_damaged_part_is_told() -> None:
    content = bytearray(part_bytes(Part.of(_detector(), HOLD, _seen(_detector())), {}))
    content[-9] ^= 1
    with pytest.raises(ArtefactError, match="damaged"):
        read_part(bytes(content))


def test_parts_that_do_not_belong_together_are_refused() -> None:
    detector = _detector()
    part = Part.of(detector, HOLD, _seen(detector))
    other = Detector(replace(detector.spec, image_size=detector.spec.image_size * 2))
    with pytest.raises(PartsMismatchError, match="different detectors"):
        Part.merged([part, Part.of(other, HOLD, [])])
    masked = Detector(replace(detector.spec, mask="fixed"), np.ones((4, 4), np.uint8))
    darker = Detector(masked.spec, np.eye(4, dtype=np.uint8))
    with pytest.raises(PartsMismatchError, match="regions"):
        Part.merged([Part.of(masked, HOLD, []), Part.of(darker, HOLD, [])])
    with pytest.raises(PartsMismatchError, match="hold out other images"):
        Part.merged([part, Part.of(detector, HoldOut(seed=4), [])])
    with pytest.raises(PartsMismatchError, match="count twice"):
        Part.merged([part, part])


def test_copies_are_held_out_together_and_kept_once() -> None:
    seen = _seen(_detector())
    held = Part.of(_detector(), replace(HOLD, most=IMAGES), seen).held
    digests = [image.sha256 for image in held.images]
    assert len(set(digests)) == len(digests) < held.seen
    names: dict[str, list[str]] = {}
    for each in seen:
        if not isinstance(each.outcome, Rejected):
            names.setdefault(each.sha256, []).append(each.name)
    assert all(image.name == min(names[image.sha256]) for image in held.images)


def test_the_share_is_held_and_another_seed_holds_others() -> None:
    digests = [hashlib.sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(4000)]
    one, other = HoldOut(0.1, seed=0), HoldOut(0.1, seed=1)
    held = [set(filter(each.holds, digests)) for each in (one, other)]
    # 4,000 draws of 0.1: six standard deviations are 114
    assert all(abs(len(each) - 400) < 114 for each in held)
    assert len(held[0] & held[1]) < 100
    assert not any(map(HoldOut(0.0).holds, digests))


@pytest.mark.parametrize(
    "wrong", [{"share": 1.0}, {"share": -0.1}, {"most": -1}, {"most": 10**6}], ids=str
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError):
        HoldOut(**wrong)
