"""What the serving benchmark claims, and how its report says it."""

import json
import math
from pathlib import Path

import pytest

from benchmarks.serving import claims, figures, peers, plot, report
from benchmarks.serving.figures import Figures, Summary

Rounds = list[dict[str, Summary | Figures]]


def loops(server: str, *served_per_s: float) -> dict[str, Summary | Figures]:
    """Return closed loops of a server that serve so much at 1, 8 and 64 clients."""
    names = claims.closed(server)
    return {
        name: {"served_per_s": per_s, "p50_ms": 10.0, "p99_ms": 20.0}
        for name, per_s in zip(names, served_per_s, strict=True)
    }


def found(rounds: Rounds) -> dict[str, claims.Judged]:
    """Return what is claimed, by name."""
    return {one.claim.name: one for one in claims.judged(rounds)}


def test_a_ratio_is_of_each_round_and_its_spread_over_rounds() -> None:
    """Reference: the median of 3, 2 and 1.5 by hand; not the ratio of two medians, which is 2.5."""
    rounds: Rounds = [
        loops("closed", 10, 30, 20) | loops("plain", 5, 10, 10),
        loops("closed", 10, 40, 50) | loops("plain", 25, 10, 20),
        loops("closed", 60, 40, 50) | loops("plain", 25, 40, 20),
    ]
    one = found(rounds)["saturation / plain FastAPI and torch"]
    assert (one.median, one.lowest, one.highest) == (2.0, 1.5, 3.0)
    assert (one.claim.wanted, one.passed) == (">= 2", True)
    assert found(rounds[2:])["saturation / plain FastAPI and torch"].passed is False


def test_what_lacks_a_part_is_not_claimed() -> None:
    """Contract: only what was measured, in whichever round that was; nothing wanted, no verdict."""
    assert claims.judged([{}]) == []
    rounds: Rounds = [loops("closed", 1, 2, 3), loops("closed", 1, 2, 3)]
    assert found(rounds) == {}
    rounds[1] |= {"stages": {"limit_per_s": 6.0, "together_per_s": 4.0}}
    assert list(found(rounds)) == [
        "saturation / limit (cores / sum of stages)",
        "saturation / stages on all cores together",
    ]
    limit, together = found(rounds).values()
    assert (limit.median, limit.passed) == (0.5, False)
    assert (together.median, together.passed) == (0.75, None)


def test_every_claim_can_be_made_of_a_whole_run() -> None:
    """Contract: each part is needed by some claim, and what it needs is what a run calls it."""

    class Everything(dict[str, Figures]):
        def __contains__(self, name: object) -> bool:
            return True

    run = Everything({"soak": {"minutes": 10.0}, "many fusion": {"detectors": 100.0}})
    needed = {name for claim in claims.claims(run) for name in claim.needs}
    closed = {
        name
        for server in ("closed", *(peer.name for peer in peers.PEERS))
        for name in claims.closed(server)
    }
    others = {"stages", "open 50%", "open 1000%", "fit and closed 1", "fit and 50%"}
    assert needed == closed | others | {"soak", "many fusion"}


def test_bounds_include_themselves() -> None:
    """Contract: at most and at least; of nothing there is no verdict."""

    def judged(value: float | None, **bounds: float) -> bool | None:
        claim = claims.Claim("x", (), lambda _: value, **bounds)
        return claims.Judged(claim, value, value, value).passed

    assert judged(2.0, most=2) is True
    assert judged(2.1, most=2) is False
    assert judged(2.0, least=2) is True
    assert judged(1.9, least=2) is False
    assert judged(None, most=2) is None
    assert judged(2.0) is None


def test_a_round_that_never_recovered_fails() -> None:
    """Law: it is for ever, in the report as in the spread, and JSON has no infinity."""
    flood: Figures = {
        "recovery_s": None,
        "served_per_s": 1.0,
        "refusal_p50_ms": 1.0,
        "retry_after_share": 1.0,
        "broken": 0.0,
        "rss_growth_mib": 1.0,
    }
    once: Rounds = [{"open 1000%": flood | {"recovery_s": 1.0}}, {"open 1000%": flood}]
    judged = claims.judged(once)
    one = next(one for one in judged if one.claim.name == "recovery after 1000 %, s")
    assert (one.median, one.lowest, one.highest) == (math.inf, 1.0, math.inf)
    text = report.markdown(figures.medians(once), judged, "heading")
    assert "| recovery after 1000 %, s | never | 1 to never | <= 2 | fail |" in text
    assert "| answers at 1000 % that are neither 200 nor 503 | 0 | 0 to 0 | <= 0 | pass |" in text
    written = report.as_json(judged)
    json.dumps(written, allow_nan=False)
    assert written[one.claim.name]["median"] is None
    assert written[one.claim.name]["passed"] is False


def test_a_round_in_which_nobody_was_served_fails() -> None:
    """Law: its p99 is for ever, so that a round that starves never makes a claim look better."""
    calm: Figures = {"served_per_s": 5.0, "p50_ms": 10.0, "p99_ms": 15.0}
    starved: Figures = {"served_per_s": 0.0, "p50_ms": None, "p99_ms": None}
    alone: dict[str, Summary | Figures] = {"closed 1": calm, "open 50%": calm}
    rounds: Rounds = [alone | {"fit and closed 1": calm, "fit and 50%": calm}]
    rounds += [alone | {"fit and closed 1": starved, "fit and 50%": starved}] * 2
    for load in ("one client", "at 50 %"):
        one = found(rounds)[f"p99 beside a fit / without, {load}"]
        assert (one.median, one.lowest, one.passed) == (math.inf, 1.0, False)
    one = found([{"closed 1": calm, "open 50%": starved}])["p99 at 50 % / idle latency"]
    assert (one.median, one.passed) == (math.inf, False)


def test_a_soak_passes_or_fails() -> None:
    """Contract: the slope of memory is judged, beside the minutes it was seen for."""
    for grown, verdict in ((0.4, "pass"), (30.0, "fail")):
        soaked: Rounds = [{"soak": {"minutes": 10.0, "rss_growth_mib_per_minute": grown}}]
        text = report.markdown(figures.medians(soaked), claims.judged(soaked), "heading")
        row = f"memory grown a minute, 10 minutes at 1000 %, MiB | {grown:g} | {grown:g} to"
        assert f"| {row} {grown:g} | <= 1 | {verdict} |" in text


def test_peers_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: one line that says which and how to install them; none if all are there."""
    monkeypatch.setattr(peers, "find_spec", lambda name: None if name == "anomalib" else name)
    line = peers.missing()
    assert "TorchInferencer" in line
    assert "OpenVINOInferencer" in line
    assert "pip install 'gatewatch[compare,openvino]'" in line
    assert "\n" not in line
    assert [peer.name for peer in peers.PEERS if peer.installed] == ["plain"]
    assert line in report.markdown({}, [], "heading", line)

    monkeypatch.setattr(peers, "find_spec", lambda name: name)
    assert peers.missing() == ""


def test_a_part_of_the_figures_can_be_drawn(tmp_path: Path) -> None:
    """Contract: what was not measured stays empty, and is no error."""
    rounds: Rounds = [loops("closed", 1, 2, 3) | loops("plain", 1, 1, 1)]
    plot.draw(figures.medians(rounds), tmp_path / "serving.png")
    plot.draw({}, tmp_path / "serving.png")
