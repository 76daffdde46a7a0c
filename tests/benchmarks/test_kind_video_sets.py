"""Generated clips: the same each time, and anomalous in their motion alone."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.kinds import video


@pytest.mark.parametrize("scene", video.SCENES)
def test_a_clip_is_a_function_of_its_seed(scene: str) -> None:
    """Law: same seed, same clip; a stop has the first pictures of the clip that does not."""
    normal = video.clip(scene, None, (0, 1))
    assert normal.shape == (video.FRAMES, video.HEIGHT, video.WIDTH, 3)
    np.testing.assert_array_equal(normal, video.clip(scene, None, (0, 1)))
    assert (normal != video.clip(scene, None, (0, 2))).any()


def test_ways_are_what_they_are_called() -> None:
    """Law: each anomaly changes the steps as said; jitter leaves their mean about as it was."""
    ways = {
        name: np.diff(video.way(np.random.default_rng(3), 1.0, name))
        for name in (None, *video.ANOMALIES)
    }
    normal = ways[None]
    assert normal.min() > 0.9
    assert (ways["stop"] == 0).sum() == video.FRAMES // 2
    assert (ways["reverse"] < 0).sum() > video.FRAMES // 2
    np.testing.assert_allclose(ways["fast"].max() / normal.max(), 2, rtol=0.1)
    assert ways["jitter"].mean() == pytest.approx(normal.mean(), rel=0.3)
    assert ways["jump"].max() > 10 * normal.max()


def test_the_baseline_ranks_a_stop_first(tmp_path: Path) -> None:
    """Contract: one score a file, higher where something stands still."""
    paths = []
    for number in range(14):
        anomaly = "stop" if number >= 12 else None
        paths.append(tmp_path / f"{number}.mp4")
        video.write(paths[-1], video.clip("flow", anomaly, (9, number)))
    (scores,) = video.baseline(paths[:8], paths[8:], 0).values()
    assert scores.shape == (6,)
    assert scores[4:].min() > scores[:4].max()
