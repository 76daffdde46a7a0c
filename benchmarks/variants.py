"""Variants that the service does not offer, beside those it does: pooled outputs, no shrinkage.

    python -m benchmarks.variants SETS --out FILE

On each industrial set one embedding pass, then image AUROC of a Gaussian per block, summed, on:
squeezes of the SE blocks; the same without shrinkage (a relative ridge of 1e-9 keeps the covariance
invertible, no more); squeezes and pooled outputs (means over the picture) of the blocks that end a
stage, which is what a network without SE would be tapped for.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from app.bench.images import Reader
from app.bench.layouts import ImageSet, find_sets
from app.bench.run import CHUNK, Plan
from app.settings import Settings
from detector.descriptors import BlockRows
from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.metrics import auroc
from detector.moments import Moments
from detector.spec import Spec

RIDGE = 1e-9


def unshrunk(fitted: BlockRows, new: BlockRows) -> np.ndarray:
    """Return the sum over blocks of the Mahalanobis distance to the plain sample covariance."""
    total = np.zeros(len(next(iter(new.values()))))
    for block, rows in fitted.items():
        moments = Moments.of(rows)
        covariance = moments.scatter / moments.n
        covariance += RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        factor = cholesky(covariance, lower=True)
        whitened = solve_triangular(factor, (new[block] - moments.mean).T, lower=True)
        total += np.linalg.norm(whitened, axis=0)
    return total


def pooled(embedding: Embedding) -> Embedding:
    """Return the embedding with the outputs of the ends of stages in place of the squeezes."""
    means = {block: cells.mean(axis=1) for block, cells in embedding.regional.items()}
    return replace(embedding, mean=means, gate=means)


def ends(embedding: Embedding) -> Embedding:
    """Return the embedding with the squeezes of the ends of stages alone."""
    means = {block: embedding.mean[block] for block in embedding.regional}
    return replace(embedding, mean=means, gate=means)


def measure(
    embedder: Embedder, reader: Reader, image_set: ImageSet, plan: Plan
) -> dict[str, float]:
    """Return image AUROC by variant."""

    def embedded(paths: list[Path]) -> Embedding:
        parts = []
        for batch in tqdm(reader.batches(paths, CHUNK), desc=image_set.name, unit="batch"):
            images = [one.pixels for one in batch]
            step = embedder.best_batch
            parts += [embedder.embed(images[i : i + step]) for i in range(0, len(images), step)]
        return Embedding.concatenate(parts)

    fitted = embedded(plan.train(image_set, 0))
    new = embedded([image.path for image in image_set.test])
    anomalous = np.array([image.anomalous for image in image_set.test])
    empty = Detector(Spec("variant", "", "", "gaussian", "squeeze"))

    def gaussian(fitted: Embedding, new: Embedding) -> float:
        detector = empty.learn(empty.statistics_of(fitted), extend=False)
        return auroc(detector.scores(new), anomalous)

    return {
        "squeezes of all blocks": gaussian(fitted, new),
        "the same, no shrinkage": auroc(
            unshrunk(empty.rows(fitted).blocks, empty.rows(new).blocks), anomalous
        ),
        "squeezes of the ends of stages": gaussian(ends(fitted), ends(new)),
        "pooled outputs of the ends of stages": gaussian(pooled(fitted), pooled(new)),
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    threadpool_limits(1, user_api="blas")
    settings = Settings()
    embedder = Embedder.load(threads=settings.threads)
    reader = Reader(settings, embedder.prepare, 256)
    found = find_sets([options.sets / name for name in ("bsdata", "deeppcb", "demo")])
    plan = Plan(found, [0], 256, 300)
    results = {one.name: measure(embedder, reader, one, plan) for one in found}
    lines = [
        "| Gaussian per block on | " + " | ".join(results) + " |",
        "|---|" + "---:|" * len(results),
    ]
    for variant in next(iter(results.values())):
        cells = " | ".join(f"{values[variant]:.3f}" for values in results.values())
        lines.append(f"| {variant} | {cells} |")
    options.out.write_text("\n".join(lines) + "\n")
    print(options.out.read_text())


if __name__ == "__main__":
    main()
