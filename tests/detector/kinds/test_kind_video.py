"""The kind of video: what is decoded, learned, located and drawn."""

import contextlib
import sys
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from clip_helpers import Quick, encoded, moving, pictures, zipped
from PIL import Image

from detector.detector import Detector
from detector.embedding import Embedding
from detector.errors import (
    DegenerateDataError,
    InvalidSpecError,
    SampleError,
    UnsupportedSampleError,
)
from detector.kinds.learned import Learned, learn, read
from detector.kinds.parsing.video_files import Clip
from detector.kinds.video import VideoView
from detector.metrics import auroc
from detector.spec import Spec
from models.kinds.clips import square
from models.preprocess import Preparation

KIND = Quick()
VIEW = KIND.view({"side_px": 32, "frames": 8})


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [KIND.decode(encoded(moving(seed=seed)), VIEW) for seed in range(10)]


@pytest.fixture(scope="module")
def learned(clips: list[Clip]) -> Learned:
    return learn(KIND, clips, VIEW, seed=3)


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "libx264"), ("mp4", "mpeg4"), ("mov", "libx264"), ("webm", "libvpx-vp9"),
     ("webm", "libvpx")],
)  # fmt: skip
def test_every_container_gives_its_frames_and_times(container: str, codec: str) -> None:
    """Reference: the frames that were encoded, resized by Pillow; a few grey levels are lost."""
    frames = moving(14)
    clip = KIND.decode(encoded(frames, container, codec), VIEW)
    wanted = np.stack(
        [np.asarray(Image.fromarray(f).resize((32, 32), Image.Resampling.BILINEAR)) for f in frames]
    )
    assert clip.frames.shape == (14, 32, 32, 3)
    assert np.abs(clip.frames.astype(float) - wanted).mean() < 8
    assert clip.unit == "s"
    np.testing.assert_allclose(clip.times, np.arange(14) / 10, atol=2e-3)


def test_a_zip_of_pictures_is_a_clip_in_natural_order() -> None:
    """Law: frame2 comes before frame10, whatever the order in the file; clutter is passed over."""
    frames = moving(12)
    members = dict(reversed(pictures(frames).items()))
    members |= {"__MACOSX/take/._frame1.png": b"x", "take/.DS_Store": b"y", "take/": b""}
    clip = KIND.decode(zipped(members), VIEW)
    straight = KIND.decode(
        zipped({f"{at:02}.png": v for at, v in enumerate(pictures(frames).values())}), VIEW
    )
    np.testing.assert_array_equal(clip.frames, straight.frames)
    assert clip.unit == ""
    assert clip.times == tuple(range(12))


def test_a_stride_keeps_every_nth_frame() -> None:
    """Law: stride 3 is every third frame of stride 1, with its time."""
    content = encoded(moving(15))
    whole = KIND.decode(content, VIEW)
    some = KIND.decode(content, KIND.view({"side_px": 32, "stride": 3}))
    np.testing.assert_array_equal(some.frames, whole.frames[::3])
    assert some.times == whole.times[::3]


def test_a_rotated_video_is_turned() -> None:
    """Law: the matrix of the track's header, as a telephone writes it, turns every frame."""
    content = encoded(moving(6, height=32, width=32))
    at = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    quarter = [0, one, 0, -one & 0xFFFFFFFF, 0, 0, 32 * one, 0, 1 << 30]
    turned = content[:at] + b"".join(v.to_bytes(4) for v in quarter) + content[at + 36 :]
    upright, rotated = KIND.decode(content, VIEW).frames, KIND.decode(turned, VIEW).frames
    np.testing.assert_array_equal(rotated, np.rot90(upright, -1, axes=(1, 2)))  # clockwise


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"side_px": 20}, "side_px must be a multiple of 8"),
        ({"side_px": 8}, "side_px"),
        ({"side_px": 1024}, "side_px"),
        ({"frames": 4}, "frames must be in 8..64"),
        ({"frames": 65}, "frames"),
        ({"stride": 0}, "stride must be in 1..60"),
        ({"penalty": -1.0}, "penalty must be"),
        ({"penalty": float("nan")}, "penalty must be"),
        ({"penalty": "much"}, "must be float"),
        ({"colour": 1}, "there is: side_px"),
    ],
)
def test_views_that_cannot_be_are_refused(values: dict[str, Any], said: str) -> None:
    """Contract: the message says what is allowed."""
    with pytest.raises(InvalidSpecError, match=said):
        KIND.view(values)


def test_a_view_has_plain_types() -> None:
    """Contract: the types of its fields are classes, which the check of values needs."""
    assert {field.type for field in fields(VideoView)} <= {int, float, str, bool}
    assert KIND.view({"penalty": 2.0}).penalty == 2


def test_what_never_moves_teaches_nothing() -> None:
    """Contract: stills are refused before training."""
    still = Clip(np.full((6, 32, 32, 3), 9, np.uint8), tuple(map(float, range(6))), "")
    with pytest.raises(DegenerateDataError, match="nothing moves"):
        KIND.settings([still] * 9, VIEW)


def test_settings_are_of_the_colours(clips: list[Clip]) -> None:
    """Reference: NumPy, over all pixels of clips of one length."""
    pixels = np.concatenate([clip.frames.reshape(-1, 3) for clip in clips]).astype(float)
    settings = KIND.settings(clips, VIEW)
    np.testing.assert_allclose(settings["mean"], pixels.mean(axis=0), atol=1e-2)
    np.testing.assert_allclose(settings["deviation"], pixels.std(axis=0), atol=1e-2)


def test_the_same_seed_gives_the_same_network(clips: list[Clip], learned: Learned) -> None:
    """Law: same clips and seed, same weights; another seed, others."""
    assert learn(KIND, clips, VIEW, seed=3).fingerprint == learned.fingerprint
    assert learn(KIND, clips, VIEW, seed=4).fingerprint != learned.fingerprint


def test_a_network_comes_back_from_its_file(clips: list[Clip], learned: Learned) -> None:
    """Law: file and back has the same fingerprint, and the same rows."""
    back = read(KIND, learned.to_bytes())
    assert back.fingerprint == learned.fingerprint
    prepared = [learned.preparation.prepare(clip) for clip in clips[:2]]
    before, after = learned.embedder.embed(prepared), back.embedder.embed(prepared)
    for block in before.mean:
        np.testing.assert_array_equal(before.std[block], after.std[block])


def test_a_clip_in_a_batch_is_as_alone(learned: Learned) -> None:
    """Law: batch = alone within float32's rounding, of clips of several lengths."""
    some = [KIND.decode(encoded(moving(n, seed=n)), VIEW) for n in (12, 5, 4, 17, 12)]
    prepared = [learned.preparation.prepare(clip) for clip in some]
    together = learned.embedder.embed(prepared)
    for row, one in enumerate(prepared):
        alone = learned.embedder.embed([one])
        for name in ("gate", "mean", "std", "maximum"):
            for block, values in getattr(alone, name).items():
                np.testing.assert_allclose(
                    getattr(together, name)[block][row], values[0], rtol=1e-3, atol=1e-4
                )


def test_the_preparation_is_one(learned: Learned, clips: list[Clip]) -> None:
    """Contract: what a backbone needs, with all its settings in its name."""
    preparation = learned.preparation
    assert isinstance(preparation, Preparation)
    assert str(learned.settings["mean"][0]) in str(preparation)
    assert str(VIEW.side_px) in str(preparation)
    assert preparation.thumbnails([preparation.prepare(clips[0])]).shape == (1, 3, 64, 64)


def test_shares_become_those_of_frames(clips: list[Clip]) -> None:
    """Law: every frame has the sum over its pixels and all blocks; the sum is the score."""
    rng = np.random.default_rng(0)
    shares = {"motion": rng.normal(size=12), "stages.0": rng.normal(size=(12, 4, 4))}
    (located,) = KIND.locate(clips[0], VIEW, shares)
    assert located.axes[0].values == clips[0].times
    assert (located.axes[0].name, located.axes[0].unit) == ("time", "s")
    np.testing.assert_allclose(located.values, shares["motion"] + shares["stages.0"].sum((1, 2)))
    assert located.values.sum() == pytest.approx(sum(v.sum() for v in shares.values()))


@pytest.mark.parametrize("threshold", [None, 6.0])
@pytest.mark.parametrize("frames", [4, 12, 200])
def test_the_picture_paints_the_odd_frames(frames: int, threshold: float | None) -> None:
    """Contract: odd frames are red below the curve, others grey; of any length and sign."""
    clip = Clip(np.zeros((frames, 32, 32, 3), np.uint8), tuple(np.arange(frames) / 10), "s")
    values = np.full(frames, -0.01)
    values[frames // 2] = 8
    (located,) = KIND.locate(clip, VIEW, {"motion": values})
    picture = KIND.picture(clip, VIEW, (located,), threshold)
    assert picture.dtype == np.uint8
    assert 400 <= picture.shape[1] <= 1024
    red = (picture[..., 0] > 180) & (picture[..., 1] < 90)
    assert red.any()
    calm = KIND.picture(clip, VIEW, KIND.locate(clip, VIEW, {"motion": np.full(frames, 1e-4)}), 6.0)
    assert not ((calm[..., 0] > 180) & (calm[..., 1] < 90)).any()


def test_motion_that_is_not_normal_scores_higher() -> None:
    """Law: of squares that go right, those that go left, in the same pictures, score higher."""
    view = KIND.view({"side_px": 32, "frames": 8})
    forward = [zip_clip(moving(seed=seed)) for seed in range(60)]
    backward = [zip_clip(moving(seed=seed)[::-1]) for seed in range(60, 80)]
    learned = learn(KIND, forward[:20], view, seed=0)
    embedder = learned.embedder

    def rows(some: list[Clip]) -> Embedding:
        prepared = [learned.preparation.prepare(clip) for clip in some]
        return Embedding.concatenate([embedder.embed([one]) for one in prepared])

    spec = Spec("x", "se-video", learned.fingerprint, "gaussian", "squeeze_stats")
    detector = Detector(spec)
    detector = detector.learn(detector.statistics_of(rows(forward[:40])), extend=False)
    scores = detector.scores(rows(forward[40:] + backward))
    assert auroc(scores, np.arange(40) >= 20) > 0.85


def zip_clip(frames: np.ndarray) -> Clip:
    """A clip as it is decoded, without a file."""
    small = np.stack([square(frame, 32) for frame in frames])
    return Clip(small, tuple(map(float, range(len(frames)))), "")


def test_without_av_the_advice_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: fits are refused, decoding says the same; a zip file of pictures needs no av."""
    content, stills = encoded(moving()), zipped(pictures(moving(5)))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InvalidSpecError, match=r"gatewatch\[video\]"):
        KIND.require_installed()
    with pytest.raises(UnsupportedSampleError, match=r"gatewatch\[video\]"):
        KIND.decode(content, VIEW)
    assert len(KIND.decode(stills, VIEW).frames) == 5


def test_with_av_it_is_installed() -> None:
    """Contract: nothing is said where all is there."""
    KIND.require_installed()


def test_decoding_says_nothing_on_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    """Contract: FFmpeg's complaints of damaged files do not reach the log."""
    content = bytearray(encoded(moving(30)))
    content[len(content) // 3 : len(content) // 3 + 60] = bytes(60)
    with contextlib.suppress(SampleError):
        KIND.decode(bytes(content), VIEW)
    assert capfd.readouterr().err == ""
