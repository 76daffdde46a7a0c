"""What a window's change is called, by rules; which blocks and channels moved."""

from datetime import datetime

import numpy as np
import pytest
from scipy.stats import norm

from detector.calibration import Share
from detector.divergence import null_mean
from detector.drift.explanation import Circumstances, circumstances, sentence
from detector.drift.window_moves import by_image, moves

SINCE = datetime(2026, 3, 4, 9, 40)
KNOWN = ("b0", "b1", "b2", "b3", "b4")


def pictures(seed: int, images: int, ratios: tuple[float, float, float] = (1, 1, 1)) -> np.ndarray:
    """Return brightness, contrast and sharpness that vary by a tenth."""
    rng = np.random.default_rng(seed)
    return np.array([120.0, 40.0, 9.0]) * ratios * rng.lognormal(0, 0.1, size=(images, 3))


def seen(
    ratios: tuple[float, float, float] | None = (1, 1, 1), flagged: int = 1, before: int = 3
) -> Circumstances:
    """Return circumstances of 60 images beside 300."""
    inputs = None if ratios is None else (pictures(0, 300), pictures(1, 60, ratios))
    return circumstances((Share(before, 300), Share(flagged, 60)), inputs)


@pytest.mark.parametrize(
    ("ratios", "flagged", "cause"),
    [
        ((1.3, 1.3, 1.6), 1, "lighting (brightness x1.3"),
        ((0.8, 1, 1), 1, "lighting (brightness x0.8"),
        ((1, 0.8, 0.5), 1, "focus, movement or a dirty lens (sharpness x0.4"),
        ((1, 0.8, 0.9), 1, "haze, glare or exposure (contrast x0.8"),
        ((1, 1, 1), 12, "defects or something new in the scene"),
        ((1.3, 1, 1), 12, "lighting (brightness x1.3"),
        ((1.04, 1.04, 1.1), 1, "a new material, product or position"),
        (None, 1, ""),
        (None, 12, "defects or something new in the scene"),
    ],
)
def test_the_first_rule_that_holds_is_the_cause(
    ratios: tuple[float, float, float] | None, flagged: int, cause: str
) -> None:
    """Contract: brightness before sharpness before contrast before the share of flagged images."""
    found = seen(ratios, flagged)
    assert found.cause.startswith(cause)
    assert bool(found.cause) == bool(cause)
    assert found.share_changed == (flagged == 12)


def test_a_ratio_that_chance_may_give_is_no_cause() -> None:
    """Contract: eight images of a tenth more brightness, but which vary as much, prove nothing."""
    old, new = pictures(0, 300), pictures(1, 8)
    old[:, 0], new[:, 0] = np.arange(300.0), np.arange(0, 344, 43)

    found = circumstances((Share(0, 300), Share(0, 8)), (old, new))

    assert (round(found.ratios["brightness"], 3), found.changed) == (1.007, ())
    new[:, 0] += 30
    found = circumstances((Share(0, 300), Share(0, 8)), (old, new))
    assert found.ratios["brightness"] > 1.2
    assert found.changed == ()


def test_black_pictures_have_a_ratio() -> None:
    """Contract: a median of 0 divides nothing."""
    old, new = pictures(0, 300), pictures(1, 60)
    old[:, 0] = 0
    found = circumstances((Share(0, 300), Share(0, 60)), (old, new))
    assert found.changed == ("brightness",)


@pytest.mark.parametrize(
    ("blocks", "part", "kwargs", "expected"),
    [
        (
            ("b2", "b3"),
            "mean",
            {"ratios": None},
            "blocks b2 to b3 shifted since 2026-03-04 09:40: no cause seen; defect rate unchanged",
        ),
        (
            ("b0", "b2", "b3", "b4"),
            "scale",
            {"flagged": 12},
            "blocks b0, b2 to b4 changed in spread since 2026-03-04 09:40: looks like defects or "
            "something new in the scene; defect rate rose to 20.0% from 1.0%",
        ),
        (
            ("b1",),
            "correlation",
            {"flagged": 0, "before": 60},
            "block b1 changed in how channels move together since 2026-03-04 09:40: looks like a "
            "new material, product or position; defect rate fell to 0.0% from 20.0%",
        ),
        (
            KNOWN,
            "mean",
            {"ratios": None},
            "all blocks shifted since 2026-03-04 09:40: no cause seen; defect rate unchanged",
        ),
    ],
)
def test_the_sentence(
    blocks: tuple[str, ...], part: str, kwargs: dict[str, int], expected: str
) -> None:
    """Contract: who, how, since when, why, and what became of the defect rate."""
    assert sentence(blocks, part, SINCE, seen(**kwargs), KNOWN) == expected  # type: ignore[arg-type]


def test_moves_equal_direct_formulas() -> None:
    """Reference: a channel's nats by integrating two normal densities; a block's mean."""
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(100, 5)), rng.normal(size=(40, 5))
    new[:, 3] = 2 * new[:, 3] + 1

    found = moves(old, new, {"a": 2, "b": 3}, 5)

    by_name = {(each.block, each.channel): each for each in found.channels}
    grid, nats = np.linspace(-15, 15, 200_001), []
    for c, name in enumerate([("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2)]):
        q = norm(new[:, c].mean(), new[:, c].std(ddof=1))
        p = norm(old[:, c].mean(), old[:, c].std(ddof=1))
        kl = np.trapezoid(q.pdf(grid) * (q.logpdf(grid) - p.logpdf(grid)), grid)
        nats.append(kl - null_mean(1, 40, 100))
        assert by_name[name].nats == pytest.approx(nats[-1], abs=1e-5)
        assert by_name[name].shift_sd == pytest.approx((q.mean() - p.mean()) / p.std(), rel=1e-4)
        assert by_name[name].spread == pytest.approx(q.std() / p.std(), rel=1e-4)
    assert next((each.block, each.channel) for each in found.channels) == ("b", 1)
    assert [each.nats for each in found.blocks] == pytest.approx(
        [np.mean(nats[:2]), np.mean(nats[2:])], abs=1e-5
    )
    assert found.leading() == ("b",)


def test_an_image_moves_by_log_ratios_of_densities() -> None:
    """Reference: SciPy's densities of every channel; images and channels average to the same."""
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(100, 4)), 1.5 * rng.normal(size=(40, 4)) + [1, 0, 0, 0]
    q, p = norm(new.mean(axis=0), new.std(axis=0)), norm(old.mean(axis=0), old.std(axis=0, ddof=1))
    ratio = q.var() / p.var()
    shift = (q.mean() - p.mean()) / p.std()

    found = by_image(old, new)

    np.testing.assert_allclose(found, (q.logpdf(new) - p.logpdf(new)).mean(axis=1), rtol=1e-4)
    nats = (shift**2 + ratio - 1 - np.log(ratio)) / 2
    assert found.mean() == pytest.approx(nats.mean(), rel=1e-4)


def test_channels_that_never_vary_have_not_moved() -> None:
    """Contract: constant in both is no change, constant no more is a large one."""
    old, new = np.zeros((50, 2)), np.zeros((20, 2))
    new[:, 1] = 0.1 * np.arange(20)

    still, awake = moves(old, new, {"a": 1, "b": 1}).blocks

    assert (still.shift_sd, still.spread) == (0.0, 1.0)
    assert still.nats < 0 < 100 < awake.nats < np.inf


def test_nothing_leads_if_nothing_has_moved() -> None:
    """Contract: less than chance everywhere names all blocks, none in particular."""
    rows = np.random.default_rng(0).normal(size=(50, 2))
    assert moves(rows, rows, {"a": 1, "b": 1}).leading() == ("a", "b")
