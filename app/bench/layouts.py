"""Folders to sets: which images are fitted, which are scored, and what is known of them.

A defect set, or a folder of such sets::

    train/good   test/good   test/<defect>   ground_truth/<defect>/<stem>_mask.png or <stem>.png

A class-novelty folder, which gives one set per class, named ``<folder>/<class>``: the class is
normal, the test images of the others are anomalous::

    train/<class>   test/<class>
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.images.sources import SUFFIXES

GOOD = "good"
_LAYOUTS = (
    "expected train/good, test/good and test/<defect> (ground_truth/<defect>/<stem>_mask.png if "
    "there are masks), a folder of such sets, or train/<class> and test/<class> of two classes or "
    "more"
)


class BenchError(Exception):
    """The benchmark cannot run as asked; the message says what to change."""


@dataclass(frozen=True, slots=True)
class TestImage:
    """An image to score; ``kind`` is its folder, ``mask`` the file of its defect's mask, if any."""

    path: Path
    kind: str
    anomalous: bool
    mask: Path | None = None


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Normal images to fit and labelled images to score, each sorted by path."""

    name: str
    train: list[Path] = field(repr=False)
    test: list[TestImage] = field(repr=False)

    @property
    def has_masks(self) -> bool:
        """Whether any defect has a mask."""
        return any(image.mask for image in self.test)


def find_sets(folders: list[Path]) -> list[ImageSet]:
    """Return the sets in folders, in the order given and by name within a folder.

    Raises:
        BenchError: if a folder holds none, a set lacks images of some kind, or names repeat.
    """
    found = [image_set for folder in folders for image_set in _sets_of(folder)]
    repeated = [name for name, count in Counter(item.name for item in found).items() if count > 1]
    if repeated:
        raise BenchError(f"two sets are named {', '.join(repeated)}: rename a folder")
    return found


def _sets_of(folder: Path) -> list[ImageSet]:
    if not folder.is_dir():
        raise BenchError(f"{folder} is not a folder: {_LAYOUTS}")
    sets = _direct_sets(folder)
    if not sets:
        sets = [item for inner in _folders(folder) for item in _direct_sets(inner)]
    if not sets:
        raise BenchError(f"{folder} holds no set of images: {_LAYOUTS}")
    return sets


def _direct_sets(folder: Path) -> list[ImageSet]:
    """Return the sets whose train and test lie right in this folder; none if it is no set."""
    train, test = folder / "train", folder / "test"
    if (train / GOOD).is_dir():
        return [_defect_set(folder)]
    classes = [inner.name for inner in _folders(train) if (test / inner.name).is_dir()]
    return [_novelty_set(folder, name) for name in classes] if len(classes) > 1 else []


def _defect_set(folder: Path) -> ImageSet:
    test = [
        TestImage(
            path,
            kind.name,
            anomalous=kind.name != GOOD,
            mask=None if kind.name == GOOD else _mask(folder / "ground_truth" / kind.name, path),
        )
        for kind in _folders(folder / "test")
        for path in _images(kind)
    ]
    return _checked(ImageSet(folder.resolve().name, _images(folder / "train" / GOOD), test))


def _novelty_set(folder: Path, normal: str) -> ImageSet:
    test = [
        TestImage(path, kind.name, anomalous=kind.name != normal)
        for kind in _folders(folder / "test")
        for path in _images(kind)
    ]
    name = f"{folder.resolve().name}/{normal}"
    return _checked(ImageSet(name, _images(folder / "train" / normal), test))


def _checked(found: ImageSet) -> ImageSet:
    counts = {
        "normal images to fit (train)": len(found.train),
        "normal images to score (test)": sum(not image.anomalous for image in found.test),
        "anomalous images to score (test)": sum(image.anomalous for image in found.test),
    }
    for what, count in counts.items():
        if not count:
            raise BenchError(f"set {found.name} has no {what}: {_LAYOUTS}")
    return found


def _mask(folder: Path, image: Path) -> Path | None:
    candidates = (folder / f"{image.stem}_mask.png", folder / f"{image.stem}.png")
    return next((path for path in candidates if path.is_file()), None)


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(inner for inner in folder.iterdir() if inner.is_dir())


def _images(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()
    )
