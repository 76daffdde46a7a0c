"""No change, many images: false alarms are as rare as promised, on made and on real scores."""

from pathlib import Path

import numpy as np
import pytest
from drift_helpers import begun, line_of, skewed
from embedding_helpers import embed_all, select
from PIL import Image
from scipy.signal import lfilter

from detector.detector import Detector
from detector.drift.autocorrelation import Thinning
from detector.drift.monitors import Frozen, Ranked, Rate, Stream
from detector.drift.promise import Promise
from detector.drift.state import SHARES, Baseline, DriftState
from detector.drift.uniforms import Uniforms
from detector.embedder import Embedder
from detector.spec import Spec

pytestmark = pytest.mark.usefixtures("unchecked")

C = 200.0
MOST = 20 * int(C)


def run_length(stream: Stream, scores: np.ndarray, seed: int) -> int:
    """Return how many images it takes until R >= C; ``MOST`` if it is not reached."""
    uniforms = Uniforms(seed, 0)
    for image, score in enumerate(scores.tolist()):
        stream.see(score, uniforms.at(image))
        if stream.evidence.reached(np.log10(C)):
            return image + 1
    return MOST


def made(kind: str, calibration: np.ndarray) -> Stream:
    """Return a stream that has seen nothing."""
    if kind == "rate":
        return Rate(calibration, line_of(calibration, 0.05))
    return Ranked(calibration) if kind == "ranked" else Frozen(calibration)


@pytest.mark.parametrize("kind", ["ranked", "rate", "frozen"])
@pytest.mark.parametrize("calibration", [30, 300])
def test_a_stream_alarms_as_rarely_as_promised(kind: str, calibration: int) -> None:
    """Law: P(R >= c within t) <= t / c for any t, and a mean run length of at least c.

    Within three standard errors; and ranked streams do alarm, so that this says something.
    """
    repeats = 100
    lengths = []
    for seed in range(repeats):
        scores = skewed(seed, calibration + MOST)
        lengths.append(
            run_length(made(kind, scores[:calibration]), scores[calibration:], seed + 1000)
        )
    found = np.array(lengths)

    for t in np.array([0.1, 0.25, 0.5, 0.75, 1.0]) * C:
        chance = min(t / C, 1)
        error = np.sqrt(chance * (1 - chance) / repeats)
        assert np.mean(found <= t) <= chance + 3 * error
    assert found.mean() >= C - 3 * found.std() / np.sqrt(repeats)
    if kind == "ranked":
        assert np.mean(found < MOST) > 0.9


@pytest.mark.parametrize(("calibration", "inputs"), [(50, False), (500, True)])
def test_all_monitors_together_keep_the_promise(calibration: int, inputs: bool) -> None:
    """Law: acknowledged at once, alarms within t images have a mean of at most t / N.

    The mean is over repeats, within three of its standard errors; no monitor takes more than its
    part; and there are some, so that this says something.
    """
    promise, images, repeats = 200.0, 1000, 40
    counts = []
    for seed in range(repeats):
        state = begun(seed, calibration, promise, inputs)
        rng = np.random.default_rng(seed + 1000)
        rows = rng.normal(size=(images, 3)).tolist() if inputs else [None] * images
        for score, row in zip(rng.gamma(4, size=images).tolist(), rows, strict=True):
            if state.update(score, row):
                state.acknowledge()
        counts.append(list(state.alarms.values()))
    found = np.array(counts)

    def at_most(alarms: np.ndarray, allowed: float) -> bool:
        return bool(alarms.mean() <= allowed + 3 * alarms.std() / np.sqrt(repeats))

    allowed = images / promise
    assert at_most(found.sum(axis=1), allowed)
    assert found.sum() > 0.1 * allowed * repeats
    parts = [SHARES[name] for name in state.alarms]
    for column, part in enumerate(parts):
        assert at_most(found[:, column], allowed * part / sum(parts))


def test_defects_do_not_raise_bulk_beyond_its_promise() -> None:
    """Law: with 10 % defects in steady traffic; ranks of all scores, defects included, alarm."""
    promise, images, repeats = 1000.0, 2000, 30
    bulk, plain = [], []
    for seed in range(repeats):
        state = begun(seed, 500, promise)
        rng = np.random.default_rng(seed + 1000)
        scores = rng.gamma(4, size=images) + 20 * (rng.random(images) < 0.1)
        everything, uniforms, c = Ranked(skewed(seed, 500)), Uniforms(seed, 9), 0
        for image, score in enumerate(scores.tolist()):
            state.update(score)
            state.acknowledge()
            everything.see(score, uniforms.at(image))
            if everything.evidence.reached(state.thresholds_log10["bulk"]):
                c += 1
                everything.evidence.restart()
        bulk.append(state.alarms["bulk"])
        plain.append(c)
        assert state.alarms["rate"] > 0

    allowed = images / (3 * promise)
    assert np.mean(bulk) <= allowed + 3 * np.std(bulk) / np.sqrt(repeats)
    assert np.mean(plain) > allowed + 3 * np.std(plain) / np.sqrt(repeats)


def test_correlated_traffic_keeps_the_promise_within_a_factor_of_two() -> None:
    """Law: AR(1) of 0.9, thinned by its own calibration; without thinning it is broken by far."""
    promise, images, repeats, rho = 5000.0, 30_000, 16, 0.9
    thinned, plain = 0, 0
    for seed in range(repeats):
        noise = np.random.default_rng(seed).normal(size=images + 1500)
        scores = np.asarray(lfilter([1], [1, -rho], noise)[500:])
        baseline = Baseline(scores[:1000], line_of(scores[:1000]))
        stream = scores[1000:].tolist()
        state = DriftState(baseline, Promise(promise), Thinning.of_scores(scores[:1000]), seed)
        naive = DriftState(baseline, Promise(promise), Thinning(), seed)
        for score in stream:
            if state.update(score):
                state.acknowledge()
        for score in stream[:1000]:
            if naive.update(score):
                naive.acknowledge()
        thinned += sum(state.alarms.values())
        plain += sum(naive.alarms.values())

    allowed = repeats * images / promise
    assert 0.1 * allowed < thinned <= 2 * allowed
    assert plain > 10 * repeats * 1000 / promise


@pytest.mark.slow
def test_real_scores_alarm_as_rarely_as_promised(embedder: Embedder, data_dir: Path) -> None:
    """Law: over shuffles of real normal pictures' scores, alarms within t images <= t / N."""
    files = sorted((data_dir / "bsdata" / "train" / "good").iterdir())
    files = [files[i] for i in np.linspace(0, len(files) - 1, 260).astype(int)]
    seen = embed_all(embedder, [np.array(Image.open(f).convert("RGB")) for f in files], 64)
    empty = Detector(Spec("s", embedder.name, embedder.fingerprint, "gaussian", "squeeze", 64))
    fitted = empty.learn(empty.statistics_of(select(seen, range(0, 260, 4))), extend=False)
    scores = fitted.scores(select(seen, [i for i in range(260) if i % 4]))
    promise, repeats, counts = 50.0, 150, []
    for seed in range(repeats):
        order = np.random.default_rng(seed).permutation(scores)
        baseline = Baseline(order[:60], line_of(order[:60], 0.05))
        state = DriftState(baseline, Promise(promise), Thinning(), seed)
        for score in order[60:].tolist():
            if state.update(score):
                state.acknowledge()
        counts.append(sum(state.alarms.values()))

    allowed = (len(scores) - 60) / promise
    assert 0.1 * allowed < np.mean(counts)
    assert np.mean(counts) <= allowed + 3 * np.std(counts) / np.sqrt(repeats)
