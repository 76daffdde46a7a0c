"""Folders to sets: what is fitted, what is scored, and what is refused."""

import shutil
from pathlib import Path

import pytest

from app.bench.layouts import BenchError, find_sets


def test_a_defect_set(defect_set: Path) -> None:
    """Contract: good and defective images, each defect with its mask."""
    (found,) = find_sets([defect_set])

    assert found.name == "gravel"
    assert [path.name for path in found.train] == [f"{index:03}.png" for index in range(12)]
    assert [(image.kind, image.anomalous) for image in found.test] == (
        [("good", False)] * 5 + [("square", True)] * 5
    )
    assert found.has_masks
    for image in found.test:
        mask = defect_set / "ground_truth" / "square" / f"{image.path.stem}_mask.png"
        assert image.mask == (mask if image.anomalous else None)


def test_masks_may_bear_the_images_name_or_be_missing(defect_set: Path, tmp_path: Path) -> None:
    """Contract: <stem>.png is found too; without any, the set has no masks."""
    copy = shutil.copytree(defect_set, tmp_path / "copy")
    masks = copy / "ground_truth" / "square"
    (masks / "000_mask.png").rename(masks / "000.png")
    (masks / "001_mask.png").unlink()
    (found,) = find_sets([copy])
    odd = [image for image in found.test if image.anomalous]
    assert odd[0].mask == masks / "000.png"
    assert odd[1].mask is None

    shutil.rmtree(copy / "ground_truth")
    assert not find_sets([copy])[0].has_masks


def test_a_folder_of_sets(defect_set: Path, classes: Path, tmp_path: Path) -> None:
    """Contract: every set right below, by name; what is no set is passed over."""
    for name in ("b", "a"):
        shutil.copytree(defect_set, tmp_path / name)
    shutil.copytree(classes, tmp_path / "tints")
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("no image")

    names = [found.name for found in find_sets([tmp_path])]

    assert names == ["a", "b", "tints/blue", "tints/green", "tints/red"]


def test_classes_take_turns(classes: Path) -> None:
    """Contract: one class is normal, all others' test images are anomalous; validation is not."""
    found = {one.name: one for one in find_sets([classes])}

    assert list(found) == ["tints/blue", "tints/green", "tints/red"]
    red = found["tints/red"]
    assert {path.parent for path in red.train} == {classes / "train" / "red"}
    assert len(red.train) == 6
    kinds = [(image.kind, image.anomalous) for image in red.test]
    assert kinds == (
        [("blue", True)] * 3 + [("green", True)] * 3 + [("red", False)] * 3 + [("white", True)] * 3
    )
    assert not red.has_masks


def test_what_is_no_image_is_passed_over(defect_set: Path, tmp_path: Path) -> None:
    """Contract: other files and folders beside the images; suffixes in any case."""
    copy = shutil.copytree(defect_set, tmp_path / "copy")
    good = copy / "train" / "good"
    (good / "notes.txt").write_text("no image")
    (good / "folder.png").mkdir()
    (good / "000.png").rename(good / "000.PNG")

    assert len(find_sets([copy])[0].train) == 12


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("train/good/*", "set copy has no normal images to fit"),
        ("test/good", "set copy has no normal images to score"),
        ("test/square", "set copy has no anomalous images to score"),
        ("train", "holds no set of images"),
        ("test", "set copy has no normal images to score"),
    ],
)
def test_an_incomplete_set_is_refused(
    defect_set: Path, tmp_path: Path, removed: str, message: str
) -> None:
    """Contract: the message says what is missing and which layouts there are."""
    copy = shutil.copytree(defect_set, tmp_path / "copy")
    for path in copy.glob(removed):
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    with pytest.raises(BenchError, match=message) as caught:
        find_sets([copy])

    assert "train/good" in str(caught.value)
    assert "train/<class>" in str(caught.value)


def test_no_folder_and_one_name_twice_are_refused(defect_set: Path, tmp_path: Path) -> None:
    """Contract: rows are told apart by the sets' names."""
    with pytest.raises(BenchError, match="is not a folder"):
        find_sets([tmp_path / "missing"])
    with pytest.raises(BenchError, match="two sets are named gravel"):
        find_sets([defect_set, defect_set])


def test_one_class_is_no_novelty(classes: Path, tmp_path: Path) -> None:
    """Contract: a single class leaves nothing anomalous."""
    copy = shutil.copytree(classes, tmp_path / "copy")
    for name in ("blue", "green"):
        shutil.rmtree(copy / "train" / name)

    with pytest.raises(BenchError, match="of two classes or more"):
        find_sets([copy])
