"""Sequences as a kind: what is learned of them, kept, judged, shown."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from benchmarks.kinds import sequence as measured
from detector import places
from detector.detector import Detector
from detector.embedding import Embedding
from detector.errors import DegenerateDataError, InvalidSpecError
from detector.kinds.learned import Learned, learn, read
from detector.kinds.sequence import KIND, SequenceKind, SequenceSample
from detector.spec import Spec
from models.plan import Plan
from models.tokens import UNKNOWN


class Quick(SequenceKind):
    """The kind, hardly trained."""

    plan = Plan(steps=3, rounds=1)


def _files(count: int, seed: int = 0, anomaly: str | None = None) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [json.dumps(measured.session(rng, anomaly)).encode() for _ in range(count)]


def _learned(kind: SequenceKind, files: Sequence[bytes], seed: int = 0) -> Learned:
    view = kind.view({})
    return learn(kind, [kind.decode(each, view) for each in files], view, seed=seed)


def _embedded(learned: Learned, files: Sequence[bytes]) -> Embedding:
    return Embedding.concatenate(
        [
            learned.embedder.embed([learned.prepare(each) for each in files[start : start + 32]])
            for start in range(0, len(files), 32)
        ]
    )


def _fitted(learned: Learned, files: Sequence[bytes]) -> Detector:
    spec = Spec("x", "se-sequence", learned.fingerprint, "gaussian", descriptor="squeeze_stats")
    detector = Detector(spec)
    return detector.learn(detector.statistics_of(_embedded(learned, files)), extend=False)


def _auroc(normal: np.ndarray, odd: np.ndarray) -> float:
    ranks = rankdata(np.concatenate([normal, odd]))[len(normal) :]
    return float((ranks.mean() - (len(odd) + 1) / 2) / len(normal))


@pytest.fixture(scope="module")
def quick() -> Learned:
    """A network that was hardly trained, on sessions."""
    return _learned(Quick(), _files(40))


def test_same_seed_same_network(quick: Learned) -> None:
    """Law: the fingerprint is that of samples and seed."""
    assert _learned(Quick(), _files(40)).fingerprint == quick.fingerprint
    assert _learned(Quick(), _files(40), seed=1).fingerprint != quick.fingerprint


def test_file_gives_the_network_back(quick: Learned) -> None:
    """Law: written and read, it is the same, and embeds the same."""
    again = read(Quick(), quick.to_bytes())
    assert again.fingerprint == quick.fingerprint
    files = _files(3, seed=5)
    for block, rows in _embedded(again, files).mean.items():
        np.testing.assert_array_equal(rows, _embedded(quick, files).mean[block])


def test_batch_is_alone(quick: Learned) -> None:
    """Law: among sequences of other lengths a sample's rows are its own."""
    files = _files(6, seed=7)
    arrays = [quick.prepare(each) for each in files]
    assert len({len(each) for each in arrays}) > 1
    together = quick.embedder.embed(arrays)
    alone = Embedding.concatenate([quick.embedder.embed([each]) for each in arrays])
    for name in ("gate", "mean", "std", "maximum"):
        for block, rows in getattr(together, name).items():
            np.testing.assert_allclose(rows, getattr(alone, name)[block], rtol=1e-4, atol=2e-5)


def test_settings_know_what_two_samples_have() -> None:
    """Reference: by hand; a token of one sample alone is unknown, as are those beyond the limit."""
    samples = [SequenceSample(tuple(each)) for each in ("aab", "acb", "dd", "bee")]
    assert KIND.settings(samples, KIND.view({})) == {
        "tokens": ["b", "a"],
        "known": [3, 3, 2],
        "samples": 4,
    }
    assert KIND.settings(samples, KIND.view({"vocabulary": 1}))["tokens"] == ["b"]
    _, words = KIND.network(KIND.view({}), KIND.settings(samples, KIND.view({})))
    assert words.prepare(SequenceSample(("b", "c", "?"))).tolist() == [2, UNKNOWN, UNKNOWN]


def test_nothing_to_learn_is_refused() -> None:
    """Contract: nothing in common, nothing that varies."""
    view = KIND.view({})
    with pytest.raises(DegenerateDataError, match="nothing is common"):
        KIND.settings([SequenceSample(("a",)), SequenceSample(("b", "b"))], view)
    with pytest.raises(DegenerateDataError, match="nothing varies"):
        KIND.settings([SequenceSample(("a", "b"))] * 9, view)


@pytest.mark.parametrize(
    "values",
    [
        {"unit": "characters"},
        {"longest": 1},
        {"longest": 4097},
        {"vocabulary": 0},
        {"vocabulary": 8001},
        {"lower": 1},
        {"size": 3},
    ],
)
def test_impossible_views_are_refused(values: dict[str, object]) -> None:
    """Contract: a message that names the value."""
    with pytest.raises(InvalidSpecError, match=next(iter(values))):
        KIND.view(values)


def test_settings_and_network_that_differ_are_refused() -> None:
    """Contract: a damaged file, say."""
    with pytest.raises(ValueError, match="another number"):
        KIND.network(KIND.view({}), {"tokens": ["a"], "known": [1], "samples": 2})


def test_shares_of_tokens_sum_to_the_score(quick: Learned) -> None:
    """Law: exactly, with the places' own shares; a name for each."""
    detector = _fitted(quick, _files(40))
    file = _files(1, seed=9, anomaly="unseen")[0]
    view = KIND.view({})
    sample = KIND.decode(file, view)
    (located,) = KIND.locate(
        sample, view, places.shares(detector, quick.embedder, quick.prepare(file))
    )
    assert located.axes[0].values == sample.tokens
    assert located.values.shape == (len(sample.tokens),)
    score = detector.scores(_embedded(quick, [file]))[0]
    assert located.values.sum() == pytest.approx(score, rel=1e-4)


def test_order_alone_tells() -> None:
    """Measured: swapped neighbours, of which TF-IDF knows nothing; a short training is enough."""

    class Short(SequenceKind):
        plan = Plan(steps=40, rounds=2, rate=4e-3)

    train = _files(120)
    learned = _learned(Short(), train)
    detector = _fitted(learned, train)
    normal, odd = (
        detector.scores(_embedded(learned, files))
        for files in (_files(40, seed=1), _files(40, seed=2, anomaly="swapped"))
    )
    assert _auroc(normal, odd) > 0.9
    assert learned.report.losses[-1] < learned.report.losses[0] / 2

    file = b'["open","alloc","write","sync","ack","flush","close"]'
    shares = places.shares(detector, learned.embedder, learned.prepare(file))
    (located,) = KIND.locate(KIND.decode(file, KIND.view({})), KIND.view({}), shares)
    assert int(located.values.argmax()) in (2, 3, 4, 5)


def test_alerts_of_a_log_rank_high(data_dir: Path, tmp_path: Path) -> None:
    """Measured: windows of BGL with alerts against normal ones; loose, by a short training."""
    folder = next(each for each in measured.sets(data_dir, tmp_path) if each.name == "bgl-5")

    class Short(SequenceKind):
        plan = Plan(steps=20, rounds=2, rate=4e-3)

    def contents(where: str) -> list[bytes]:
        return [path.read_bytes() for path in sorted((folder / where).iterdir())]

    train = contents("train/good")
    learned = _learned(Short(), train)
    detector = _fitted(learned, train)
    normal, odd = (
        detector.scores(_embedded(learned, contents(f"test/{part}"))) for part in ("good", "alert")
    )
    assert _auroc(normal, odd) > 0.85


def test_odd_sessions_are_not_normal() -> None:
    """Law: no odd session of the benchmark could be a normal one; each is odd at one place."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert measured._NORMAL.fullmatch(" ".join(measured.session(rng)))
    for anomaly, more in zip(measured.ANOMALIES, (0, -1, 1, 1), strict=True):
        for seed in range(200):
            normal = measured.session(np.random.default_rng(seed))
            odd = measured.session(np.random.default_rng(seed), anomaly)
            assert not measured._NORMAL.fullmatch(" ".join(odd)), odd
            assert len(odd) == len(normal) + more
