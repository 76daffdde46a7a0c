"""A simulation's pictures and script: the same for the same seed, and changed as they should be."""

from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from http_helpers import Pixels, encode

from app.simulation import changes
from app.simulation.drawing import SIDE_PX, drawn
from app.simulation.errors import RefusedError
from app.simulation.pictures import LEAST_IMAGES, LONGEST_PX, PARTS, Drawn, Own, jpeg
from app.simulation.script import EFFECTS, Change, Phase, Scene, script, shown
from detector.input_statistics import input_statistics

IMAGES = 32
CHANGES: tuple[Change, ...] = ("defects", "lighting", "blur", "product")


class Grey:
    """Pictures of one grey, which are quicker to make than drawn ones."""

    def count(self, part: str) -> None:
        return None

    def get(self, part: str, number: int) -> Pixels:
        return np.full((128, 96, 3), 120, np.uint8)


def looks(pictures: list[Pixels]) -> np.ndarray:
    """Return medians of brightness, contrast and sharpness."""
    samples = [picture.transpose(2, 0, 1) for picture in pictures]
    return np.asarray(np.median(input_statistics(samples), axis=0))


def last(change: Change, seed: int = 0) -> list[Pixels]:
    """Return the last quarter of a changed phase, where the change is complete."""
    phase = Phase(change, IMAGES, 0)
    return [shown(phase, i, Drawn(seed), seed) for i in range(3 * IMAGES // 4, IMAGES)]


@pytest.fixture(scope="module")
def normal() -> list[Pixels]:
    return last("normal")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of as many images as are needed, each of another grey."""
    made = tmp_path_factory.mktemp("own")
    for number in range(LEAST_IMAGES):
        picture = np.full((40, 50, 3), 2 * number, np.uint8)
        (made / f"{number:03}.png").write_bytes(encode(picture))
    return made


@pytest.mark.parametrize("change", CHANGES)
def test_a_seed_is_a_stream(change: Change) -> None:
    """Law: same seed, same files; another seed, other ones."""
    first, again, other = (list(map(jpeg, last(change, seed)[:3])) for seed in (1, 1, 2))
    assert first == again
    assert not set(first) & set(other)


def test_no_two_pictures_are_alike() -> None:
    """Law: what is fitted, calibrated with and streamed are pictures of their own."""
    files = [jpeg(Drawn(0).get(part, number)) for part in PARTS for number in range(3)]
    assert len(set(files)) == len(files)


def test_normal_pictures_vary_a_little(normal: list[Pixels]) -> None:
    """Contract: as pictures of one camera do, by some per cent."""
    samples = [picture.transpose(2, 0, 1) for picture in normal]
    found = input_statistics(samples)
    spread = found.std(axis=0) / found.mean(axis=0)
    assert (spread > 0.001).all()
    assert (spread < 0.1).all()
    assert {picture.shape for picture in normal} == {(SIDE_PX, SIDE_PX, 3)}


def test_a_failing_lamp_is_darker(normal: list[Pixels]) -> None:
    brightness, contrast, _ = looks(last("lighting")) / looks(normal)
    assert 0.5 < brightness < 0.7
    assert contrast < 0.75


def test_a_blurred_picture_is_less_sharp(normal: list[Pixels]) -> None:
    """Contract: and as bright as before."""
    brightness, _, sharpness = looks(last("blur")) / looks(normal)
    assert sharpness < 0.4
    assert brightness == pytest.approx(1, abs=0.02)


def test_another_product_looks_otherwise(normal: list[Pixels]) -> None:
    assert abs(looks(last("product")) / looks(normal) - 1).max() > 0.15


def test_changes_come_slowly() -> None:
    """Law: nothing of the first picture has changed much, and each is darker than the last."""
    phase = Phase("lighting", IMAGES, 0)
    shares = [
        float(shown(phase, i, Drawn(0), 0).mean() / Drawn(0).get("traffic", i).mean())
        for i in range(0, IMAGES, 8)
    ]
    assert shares[0] > 0.97
    assert all(b <= a + 0.005 for a, b in pairwise(shares))


def test_defects_become_more_and_stay_small() -> None:
    """Contract: only some pictures have one, more of them later, within a small part of it."""
    images = 200
    phase, pictures = Phase("defects", images, 0), Grey()
    hit = []
    for i in range(images):
        differs = (shown(phase, i, pictures, 3) != pictures.get("traffic", i)).any(axis=2)
        if differs.any():
            hit.append(i)
            assert 0.0002 < differs.mean() < 0.1
    early, late = (sum(i in hit for i in part) for part in (range(50), range(150, 200)))
    assert early < late
    assert 0.35 * 50 < late < 0.7 * 50


def test_damage_of_any_size() -> None:
    """Contract: of pictures that are no squares, too, the largest and the smallest."""
    for size in ((40, 90), (500, 120)):
        picture = np.full((*size, 3), 120, np.uint8)
        for seed in range(12):
            damaged = changes.damaged(picture, np.random.default_rng(seed))
            assert damaged.shape == picture.shape
            assert (damaged != picture).any()


def test_no_change_at_strength_0() -> None:
    picture = drawn((1, 2, 3))
    assert (changes.dimmed(picture, 0) == picture).all()
    assert (changes.blurred(picture, 0) == picture).all()


def test_own_images_are_parted(folder: Path) -> None:
    """Law: a third each, none in two parts, all of them before one comes again."""
    own = Own(folder, 0)
    values = {
        part: [int(own.get(part, i).mean()) for i in range(own.count(part))] for part in PARTS[:3]
    }
    assert sorted(chain(*values.values())) == [2 * i for i in range(LEAST_IMAGES)]
    again = [int(own.get("traffic", 30 + i).mean()) for i in range(30)]
    assert sorted(again) == sorted(values["traffic"])
    assert again != values["traffic"]
    assert [int(Own(folder, 0).get("traffic", i).mean()) for i in range(30)] == values["traffic"]
    assert int(Own(folder, 1).get("fit", 0).mean()) != values["fit"][0]


def test_own_images_are_made_smaller(folder: Path, tmp_path: Path) -> None:
    """Contract: their shape is kept."""
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "000.png").unlink()
    (tmp_path / "000.png").write_bytes(encode(np.zeros((1000, 2000, 3), np.uint8)))
    own = Own(tmp_path, 0)
    shapes = {own.get(part, i).shape for part in PARTS[:3] for i in range(own.count(part))}
    assert shapes == {(40, 50, 3), (LONGEST_PX // 2, LONGEST_PX, 3)}


def test_too_few_own_images_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no image in"):
        Own(tmp_path, 0)
    (tmp_path / "one.png").write_bytes((folder / "000.png").read_bytes())
    with pytest.raises(RefusedError, match=f"has 1 images, and at least {LEAST_IMAGES}"):
        Own(tmp_path, 0)


def test_a_broken_own_image_is_named(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(b"no image")
    with pytest.raises(RefusedError, match=r"png cannot be read: .*not an image"):
        Own(tmp_path, 0).get("fit", 0)


@pytest.mark.parametrize("scene", [*EFFECTS])
def test_a_scene_has_one_act(scene: Scene) -> None:
    """Contract: normal traffic first, then the change for as long as was asked."""
    (act,) = script(scene, 90, Drawn(0))
    assert act.before == Phase("normal", 90 if scene == "normal" else 30, 0)
    assert act.after is None
    if scene == "normal":
        assert act.change is None
    else:
        assert act.change is not None
        assert (act.change.change, act.change.images) == (scene, 90)


def test_the_tour_shows_every_change_and_no_picture_twice() -> None:
    acts = script("tour", 60, Drawn(0))
    assert [act.change.change for act in acts if act.change] == [*CHANGES]
    assert [act.after is None for act in acts] == [False, False, False, True]
    phases = [phase for act in acts for phase in (act.before, act.change, act.after) if phase]
    traffic = [phase for phase in phases if phase.change != "product"]
    numbers = [phase.first + i for phase in traffic for i in range(phase.images)]
    assert sorted(numbers) == list(range(len(numbers)))
    assert [phase.judged for phase in phases].count(False) == 3


def test_normal_traffic_of_own_images_does_not_repeat(folder: Path) -> None:
    """Contract: images that come again look like a change, so they do not in normal traffic."""
    (act,) = script("normal", 500, Own(folder, 0))
    assert act.before.images == LEAST_IMAGES // 3
