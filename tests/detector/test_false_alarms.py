"""The false-alarm rate on real pictures: what is promised is what happens."""

from pathlib import Path

import numpy as np
import pytest
from embedding_helpers import embed_all, select
from PIL import Image

from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.spec import Spec

SPLITS, FIT, CALIBRATION = 200, 40, 59


@pytest.fixture(scope="module")
def normals(embedder: Embedder, data_dir: Path) -> Embedding:
    """Every fourth picture of an intact ball screw, 120 of them, at 128 px."""
    files = sorted((data_dir / "bsdata" / "train" / "good").iterdir())[::4][:120]
    return embed_all(embedder, [np.array(Image.open(file).convert("RGB")) for file in files], 128)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scorer", "descriptor"), [("prototype", "gate"), ("gaussian", "squeeze"), ("kl", "regional")]
)
def test_the_mean_false_alarm_rate_is_the_target(
    embedder: Embedder, normals: Embedding, scorer: str, descriptor: str
) -> None:
    """Law: over random splits of real normals, alarms per new image = floor(alpha(n+1))/(n+1).

    Equal where no scores tie, within three standard errors; so never above the target.
    """
    rng = np.random.default_rng(0)
    spec = Spec("screws", embedder.name, embedder.fingerprint, scorer, descriptor, 128)
    rates: dict[float, list[float]] = {0.05: [], 0.1: []}
    for _ in range(SPLITS):
        fit, held_out, new = np.split(rng.permutation(len(normals)), [FIT, FIT + CALIBRATION])
        empty = Detector(spec)
        fitted = empty.learn(empty.statistics_of(select(normals, fit)), extend=False)
        calibrated = fitted.calibrate(fitted.contributions(select(normals, held_out)), 0.05)
        for target, found in rates.items():
            verdicts = calibrated.with_target(target).judge(select(normals, new))
            found.append(float(np.mean([verdict.flagged for verdict in verdicts])))

    for target, found in rates.items():
        expected = np.floor(target * (CALIBRATION + 1) + 1e-9) / (CALIBRATION + 1)
        error = np.std(found) / np.sqrt(SPLITS)
        assert expected == pytest.approx(target)
        assert np.mean(found) <= target + 3 * error
        assert abs(np.mean(found) - expected) <= 3 * error
