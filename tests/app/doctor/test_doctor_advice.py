"""The arithmetic of ``gatewatch doctor``: roofs, bottlenecks, settings."""

import pytest

from app.doctor import advice, engines, pictures
from app.doctor.advice import Costs, Point
from app.settings import PREFIX, Settings
from detector import imaging

COSTS = Costs(decode_s=0.002, judge_s=0.004, http_s=0.001, engine_per_s=100.0)


def test_the_roof_of_a_cpu_by_hand() -> None:
    """Reference: all stages share two cores: 10 ms of engine, and 7 ms of a core for the rest."""
    found = advice.roof(COSTS, 2, on_cpu=True)
    assert found.images_per_s == pytest.approx(1 / (0.007 / 2 + 0.01))
    assert found.bottleneck == "engine"
    assert found.shares["judge"] == pytest.approx(0.002 / 0.0135)
    assert sum(found.shares.values()) == pytest.approx(1)


def test_the_roof_beside_a_device_by_hand() -> None:
    """Reference: what does not share is limited by the slowest: engine, cores or event loop."""
    assert advice.roof(COSTS, 2, on_cpu=False).images_per_s == pytest.approx(100)
    assert advice.roof(COSTS, 2, on_cpu=False).bottleneck == "engine"
    fast = Costs(decode_s=0.005, judge_s=0.001, http_s=0.001, engine_per_s=10_000)
    found = advice.roof(fast, 4, on_cpu=False)
    assert found.images_per_s == pytest.approx(4 / 0.007)
    assert found.bottleneck == "decode"
    found = advice.roof(fast, 64, on_cpu=False)
    assert found.images_per_s == pytest.approx(1000)
    assert found.bottleneck == "event loop"


@pytest.mark.parametrize(
    ("changed", "bottleneck"),
    [("decode_s", "decode"), ("judge_s", "judge"), ("http_s", "http")],
)
def test_what_takes_longest_is_the_bottleneck(changed: str, bottleneck: str) -> None:
    """Contract: the dearest stage is named; HTTP's one thread only where that binds."""
    costs = {"decode_s": 0.001, "judge_s": 0.001, "http_s": 0.001, "engine_per_s": 1000.0}
    one = advice.roof(Costs(**costs | {changed: 0.1}), 1, on_cpu=True)
    assert one.bottleneck == bottleneck
    two = advice.roof(Costs(**costs | {changed: 0.1}), 4, on_cpu=True)
    assert two.bottleneck == ("event loop" if changed == "http_s" else bottleneck)


def _points() -> list[Point]:
    return [
        Point("torch", 1, 1, 1, 20.0),
        Point("onnx", 1, 2, 4, 98.0),
        Point("onnx", 2, 1, 4, 70.0),
        Point("onnx", 1, 2, 1, 80.0),
        Point("onnx", 1, 2, 2, 96.0),
        Point("onnx", 1, 2, 8, 100.0),
    ]


def test_nearly_the_fastest_with_the_smallest_batch_is_best() -> None:
    """Contract: 96 of 100 at a batch of two is worth more than 100 at eight."""
    assert advice.best(_points()) == Point("onnx", 1, 2, 2, 96.0)
    assert advice.best(_points()[:1]).engine == "torch"


def test_settings_that_are_recommended() -> None:
    """Contract: those that exist, with what was chosen, and the figures as the reason."""
    found = advice.recommend(_points(), [COSTS], 2, on_cpu=True)
    values = {item.variable: item.value for item in found}
    assert values == {
        "GATEWATCH_ENGINE": "onnx",
        "GATEWATCH_THREADS": "1",
        "GATEWATCH_MAX_BATCH": "2",
        "GATEWATCH_DECODE_THREADS": "2",
    }
    reasons = {item.variable: item.reason for item in found}
    assert reasons["GATEWATCH_ENGINE"].endswith("torch 20, onnx 100")
    assert "2 x 1: 100, 1 x 2: 70" in reasons["GATEWATCH_THREADS"]
    assert "1: 80, 2: 96, 4: 98, 8: 100" in reasons["GATEWATCH_MAX_BATCH"]
    named = {variable.removeprefix(PREFIX).lower(): value for variable, value in values.items()}
    assert Settings(**named).decode_threads == 2  # type: ignore[arg-type]


def test_threads_of_a_pass_are_left_alone_beside_a_device() -> None:
    """Contract: a GPU does not care; what it does care for is still there."""
    found = advice.recommend(_points(), [COSTS], 2, on_cpu=False)
    assert [item.variable for item in found] == [
        "GATEWATCH_ENGINE",
        "GATEWATCH_MAX_BATCH",
        "GATEWATCH_DECODE_THREADS",
    ]


def test_decode_threads_follow_the_dearest_picture() -> None:
    """Reference: the rate of the roof times the seconds of a core, and one to spare."""
    large = Costs(decode_s=0.03, judge_s=0.004, http_s=0.001, engine_per_s=400.0)
    rate = advice.roof(large, 16, on_cpu=True).images_per_s
    assert 7 < rate * 0.034 < 8
    assert advice.decode_threads([COSTS, large], 16, on_cpu=True) == 9
    assert advice.decode_threads([large], 4, on_cpu=False) == 4  # never more than cores
    assert advice.decode_threads([COSTS], 1, on_cpu=True) == 2  # nor fewer than two


def test_threads_that_are_tried() -> None:
    """Reference: powers of two up to the cores, and all of them."""
    assert engines.layouts(1) == [1]
    assert engines.layouts(2) == [1, 2]
    assert engines.layouts(6) == [1, 2, 4, 6]
    assert engines.layouts(16) == [1, 2, 4, 8, 16]


def test_pictures_cost_what_photographs_cost() -> None:
    """Contract: they decode to their size; bytes a pixel are those of photographs, not of noise."""
    sizes = {"JPEG, 0.2 MP": (400, 512), "JPEG, 2 MP": (1216, 1664), "PNG, 0.2 MP": (400, 512)}
    for kind, content in pictures.kinds().items():
        pixels = imaging.decode(content, max_pixels=10**7, min_side=16)
        assert pixels.shape[:2] == sizes[kind]
        bytes_a_pixel = len(content) / (pixels.shape[0] * pixels.shape[1])
        low, high = (0.08, 0.6) if kind.startswith("JPEG") else (0.8, 2.6)
        assert low < bytes_a_pixel < high, kind
