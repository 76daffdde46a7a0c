"""Kind audio: what is read of sound files, what is learned of them, where one is odd."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from audio_helpers import VIEW, WHOLE, file_of, tone

from detector.detector import Detector
from detector.embedding import Embedding
from detector.errors import (
    DegenerateDataError,
    InvalidSpecError,
    UnsupportedSampleError,
)
from detector.kinds.audio import GROUPS, KIND, Audio, AudioView
from detector.kinds.learned import Learned, learn, read
from detector.metrics import auroc
from detector.places import shares
from detector.spec import Spec
from models.plan import Plan


class Quick(Audio):
    """Learns three steps."""

    plan = Plan(batch=4, steps=3, rounds=1)


class Short(Audio):
    """Learns enough to be better than nothing."""

    plan = Plan(batch=16, steps=30, rounds=4)


@pytest.fixture(scope="module")
def learned() -> Learned:
    return learn(Quick(), [KIND.decode(file_of(tone(seed)), VIEW) for seed in range(16)], VIEW)


@pytest.mark.parametrize("form", WHOLE)
def test_formats_give_the_waveform(form: str) -> None:
    """Reference: what was written; exact to the rounding of 16 bits, or to the codec's loss."""
    wave, decoded = tone(0), KIND.decode(WHOLE[form], VIEW)

    assert decoded.dtype == np.float32
    assert len(decoded) == len(wave)
    if form in ("vorbis", "opus"):
        assert np.corrcoef(decoded, wave)[0, 1] > 0.9
    else:
        np.testing.assert_allclose(decoded, wave, rtol=0, atol=1 / 32768)


@pytest.mark.parametrize("rate_hz", [4000, 8000, 11_025, 44_100, 48_000, 192_000])
def test_any_rate_is_brought_to_the_views(rate_hz: int) -> None:
    """Law: a low tone keeps its pitch, length and level, whatever the rate it was recorded at."""
    t = np.arange(rate_hz) / rate_hz
    decoded = KIND.decode(file_of(0.5 * np.sin(2 * np.pi * 440 * t), rate_hz), VIEW)

    assert len(decoded) == VIEW.rate_hz
    spectrum = np.abs(np.fft.rfft(decoded))
    assert spectrum.argmax() == 440
    assert spectrum.max() / (len(decoded) / 2) == pytest.approx(0.5, rel=0.01)


def test_channels_are_averaged() -> None:
    """Law: of two channels, the mean."""
    left, right = tone(1), tone(2)
    stereo = np.stack([left[:5000], right[:5000]], axis=1)
    decoded = KIND.decode(file_of(stereo, subtype="DOUBLE"), VIEW)

    np.testing.assert_allclose(decoded, stereo.mean(axis=1), rtol=0, atol=1e-6)


def test_without_soundfile_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: refused at once, or for a sample, with the same advice."""
    KIND.require_installed()
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(UnsupportedSampleError, match=r"pip install 'gatewatch\[audio\]'"):
        KIND.decode(WHOLE["wav"], VIEW)
    monkeypatch.setattr("detector.kinds.audio.find_spec", lambda _: None)
    with pytest.raises(InvalidSpecError, match=r"pip install 'gatewatch\[audio\]'"):
        KIND.require_installed()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate_hz": 3999}, "'rate_hz' must be in 4000..48000, got 3999"),
        ({"mels": 8}, "'mels' must be in 32..128"),
        ({"window_ms": 16, "hop_ms": 17}, "at most window_ms, 16, got 17"),
        ({"window_ms": 100, "hop_ms": 12}, "at least window_ms / 8, 13, got 12"),
        ({"rate_hz": 48_000, "window_ms": 8, "hop_ms": 8, "mels": 128}, "fewer mels"),
        ({"loudness": 1}, "must be bool"),
        ({"rate": 8000}, "there is: rate_hz, window_ms, hop_ms, mels, loudness"),
    ],
)
def test_impossible_views_are_refused(values: dict[str, Any], message: str) -> None:
    """Contract: the error says what is allowed."""
    with pytest.raises(InvalidSpecError, match=message):
        KIND.view(values)


def test_nothing_is_learned_from_silence() -> None:
    """Contract: clips in which nothing varies define no normal."""
    with pytest.raises(DegenerateDataError, match="silent"):
        KIND.settings([np.zeros(4000, np.float32)] * 9, VIEW)


@pytest.mark.parametrize("loudness", [False, True])
def test_loudness_counts_if_it_is_to(loudness: bool) -> None:
    """Law: a clip twice as loud is the same clip, unless loudness counts."""
    view = AudioView(loudness=loudness)
    clips = [KIND.decode(file_of(tone(seed)), view) for seed in range(4)]
    _, preparation = KIND.network(view, KIND.settings(clips, view))
    change = preparation.prepare(2 * clips[0]) - preparation.prepare(clips[0])

    assert (np.abs(change).max() > 0.1) == loudness


def test_bands_that_hear_nothing_stay_small() -> None:
    """Law: of clips recorded at 8 kHz, the bands above 4 kHz are of the size of all others."""
    clips = [KIND.decode(file_of(tone(seed, rate_hz=8000), 8000), VIEW) for seed in range(10)]
    _, preparation = KIND.network(VIEW, KIND.settings(clips[:8], VIEW))

    assert np.abs(preparation.prepare(clips[9])).max() < 12


def test_batch_is_alone(learned: Learned) -> None:
    """Law: clips of several lengths embed together as each alone; float32, 1e-4."""
    clips = [learned.prepare(file_of(tone(seed, seconds))) for seed, seconds in enumerate((1, 0.2))]
    together = learned.embedder.embed(clips)
    alone = Embedding.concatenate([learned.embedder.embed([clip]) for clip in clips])

    for statistic in ("gate", "mean", "std", "maximum"):
        for block, values in getattr(together, statistic).items():
            expected = getattr(alone, statistic)[block]
            np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4)


def test_same_seed_same_network_and_the_file_keeps_it(learned: Learned) -> None:
    """Law: fingerprints agree again, after a file as well; another seed gives another."""
    samples = [KIND.decode(file_of(tone(seed)), VIEW) for seed in range(16)]

    assert learn(Quick(), samples, VIEW).fingerprint == learned.fingerprint
    assert learn(Quick(), samples, VIEW, seed=1).fingerprint != learned.fingerprint
    again = read(Quick(), learned.to_bytes())
    assert again.fingerprint == learned.fingerprint
    np.testing.assert_array_equal(again.prepare(WHOLE["wav"]), learned.prepare(WHOLE["wav"]))


def fitted(learned: Learned, files: list[bytes]) -> Detector:
    spec = Spec(
        "any",
        learned.embedder.name,
        learned.fingerprint,
        scorer="gaussian",
        descriptor="squeeze_stats",
    )
    detector = Detector(spec)
    return detector.learn(detector.statistics_of(embedded(learned, files)), extend=False)


def embedded(learned: Learned, files: list[bytes]) -> Embedding:
    parts = [learned.embedder.embed([learned.prepare(file)]) for file in files]
    return Embedding.concatenate(parts)


def test_a_burst_is_found_where_it_is(learned: Learned) -> None:
    """Law: the shares sum to the score; of a burst of high noise they are greatest there."""
    detector = fitted(learned, [file_of(tone(seed)) for seed in range(40)])
    wave = tone(99, 1.0)
    half = len(wave) // 2
    hiss = np.diff(np.random.default_rng(0).standard_normal(1601), n=1)
    wave[half : half + 1600] += 0.3 * hiss
    file = file_of(wave)
    sample = KIND.decode(file, VIEW)

    (found,) = KIND.locate(sample, VIEW, shares(detector, learned.embedder, learned.prepare(file)))

    score = detector.scores(embedded(learned, [file]))[0]
    assert found.values.sum() == pytest.approx(score, rel=1e-5)
    frequency, time = found.axes
    assert (
        found.values.shape
        == (len(frequency.values), len(time.values))
        == (GROUPS, len(time.values))
    )
    group, frame = np.unravel_index(found.values.argmax(), found.values.shape)
    assert float(frequency.values[group]) > 1500
    assert half / 16_000 - 0.05 < float(time.values[frame]) < (half + 1600) / 16_000 + 0.05

    picture = KIND.picture(sample, VIEW, [found], score / 2)
    assert picture.dtype == np.uint8
    assert 400 <= picture.shape[1] <= 1024
    red = (picture[:, :, 0].astype(int) - picture[:, :, 2] > 60).any(axis=0).nonzero()[0]
    assert abs(red.mean() / picture.shape[1] - 0.53) < 0.12
    calm = KIND.picture(sample, VIEW, [found], 1e9)
    assert not (calm[:, :, 0].astype(int) - calm[:, :, 2] > 60).any()


def test_the_shortest_clip_and_silence_have_scores(learned: Learned) -> None:
    """Contract: finite, however little there is to hear."""
    detector = fitted(learned, [file_of(tone(seed)) for seed in range(40)])
    odd = [file_of(np.zeros(1600)), file_of(tone(3)[:1600])]

    scores = detector.scores(embedded(learned, odd))
    normal = detector.scores(embedded(learned, [file_of(tone(77))]))

    assert np.isfinite(scores).all()
    assert scores[0] > normal[0]


def test_spoken_digits_backwards_are_odd(data_dir: Path) -> None:
    """Reference: measured; statistics of the bands alone know no order and have 0.5."""
    paths = sorted((data_dir / "fsdd" / "recordings").glob("3_*.wav"))
    tested = [path for path in paths if int(path.stem.split("_")[2]) < 5]
    files = [path.read_bytes() for path in paths if path not in tested]
    learned = learn(Short(), [KIND.decode(file, VIEW) for file in files], VIEW)
    assert learned.report.losses[-1] < 0.85 * learned.report.losses[0]
    detector = fitted(learned, files)
    good = [path.read_bytes() for path in tested]
    odd = [file_of(soundfile.read(path)[0][::-1], 8000) for path in tested]

    scores = detector.scores(embedded(learned, [*good, *odd]))

    assert auroc(scores, np.arange(len(scores)) >= len(good)) > 0.8
