"""Sets in the layout that ``gatewatch bench`` reads, made of the shared data and the demo's scenes.

    python -m benchmarks.sets SHARED_DATA OUT

``OUT/bsdata`` and ``OUT/clothing`` are links. ``OUT/deeppcb``: templates of one split are fitted,
those of the other are good, its tested boards are defective, with boxes as masks. ``OUT/demo``: the
demo's scenes with planted defects. The one-against-rest classes of clothing need no change.
"""

import argparse
import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from demo.scenes import KINDS, scene

TRAIN, GOOD, PER_KIND = 100, 50, 15


def link(source: Path, target: Path) -> None:
    """Make ``target`` a link to ``source``, once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.symlink(source.resolve(), target)


def deeppcb(shared: Path, out: Path) -> None:
    """Lay out the printed circuits."""
    for split, folder in (("trainval", "train/good"), ("test", "test/good")):
        for path in sorted((shared / "deeppcb" / split / "template").iterdir()):
            link(path, out / folder / path.name)
    for path in sorted((shared / "deeppcb" / "test" / "tested").iterdir()):
        link(path, out / "test" / "defect" / path.name)
        with Image.open(path) as image:
            mask = Image.new("L", image.size)
        boxes = path.parent.parent / "boxes" / f"{path.stem.removesuffix('_test')}.txt"
        for line in boxes.read_text().splitlines():
            ImageDraw.Draw(mask).rectangle([int(part) for part in line.split()[:4]], fill=255)
        target = out / "ground_truth" / "defect" / f"{path.stem}_mask.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        mask.save(target)


def demo(out: Path) -> None:
    """Write the demo's scenes: seeds apart for training, good and each kind of defect."""
    wanted = [("train/good", "good", range(TRAIN)), ("test/good", "good", range(1000, 1000 + GOOD))]
    for number, kind in enumerate(KINDS, start=2):
        first = 1000 * number
        wanted.append((f"test/{kind.replace(' ', '_')}", kind, range(first, first + PER_KIND)))
    for folder, kind, seeds in tqdm(wanted, desc="demo scenes"):
        (out / folder).mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            made = scene(kind, seed)
            Image.fromarray(made.picture).save(out / folder / f"{seed}.png")
            if folder.startswith("test/") and kind != "good":
                everywhere = np.ones(made.picture.shape[:2], bool)
                mask = everywhere if made.mask is None else made.mask
                target = out / "ground_truth" / Path(folder).name / f"{seed}_mask.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask.astype(np.uint8) * 255).save(target)


def contaminated(source: Path, out: Path, share: float) -> None:
    """Lay out ``source`` with defective images among the fitted ones, taken out of the test.

    ``share`` of the fitted images are defective: every n-th of the test's defects, at most half.
    """
    shutil.rmtree(out, ignore_errors=True)
    train = sorted((source / "train" / "good").iterdir())
    defects = sorted(
        path
        for kind in (source / "test").iterdir()
        if kind.name != "good"
        for path in kind.iterdir()
    )
    count = min(round(share * len(train)), len(defects) // 2)
    moved = set(defects[:: max(len(defects) // count, 1)][:count]) if count else set()
    for path in [*train[count:], *moved]:
        link(path, out / "train" / "good" / f"{path.parent.name}_{path.name}")
    for path in sorted((source / "test" / "good").iterdir()):
        link(path, out / "test" / "good" / path.name)
    for path in defects:
        if path not in moved:
            link(path, out / "test" / path.parent.name / path.name)


def prepare(shared: Path, out: Path) -> None:
    """Lay out all sets."""
    for name in ("bsdata", "clothing"):
        link(shared / name, out / name)
    deeppcb(shared, out / "deeppcb")
    if not (out / "demo").exists():
        demo(out / "demo")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sets", description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    prepare(options.shared, options.out)


if __name__ == "__main__":
    main()
