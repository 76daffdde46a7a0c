"""What reviews lead to: proposals that count what they change, images to be forgotten again."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import followed, problem, strict


@pytest.fixture
def bolts(tmp_path: Path) -> Iterator[Line]:
    """A detector with false alarms, right ones and a miss, none of them reviewed."""
    with line(tmp_path) as running:
        running.fit()
        yield running


def review_all(bolts: Line, seeds: Sequence[int], odd: int, word: str) -> list[dict[str, Any]]:
    """Score pictures, say one word on each, and return the results."""
    results = bolts.score([picture(seed, odd) for seed in seeds])
    for each in results:
        answer = bolts.review(each["id"], word)
        assert answer.status_code == 201, answer.text
    return results


def proposals(bolts: Line, **query: Any) -> dict[str, dict[str, Any]]:
    """Return the proposals by rule."""
    told = bolts.get("/proposals", **query)
    return {each["rule"]: each for each in told["proposals"]}


def apply(bolts: Line, kind: str, **query: Any) -> Any:
    """Return the answer to applying a proposal."""
    return bolts.client.post(f"/v1/detectors/{NAME}/proposals/{kind}/apply", params=query)


def test_every_rule_counts_what_it_changes(bolts: Line) -> None:
    """Reference: before and after of reviewed and of scored images, by scoring them anew."""
    alarms = review_all(bolts, range(2000, 2008), 25, "false_alarm")
    anomalies = review_all(bolts, range(2100, 2104), 90, "confirmed")
    scores = sorted(each["score"] for each in bolts.score([picture(i) for i in range(2200, 2210)]))
    told = bolts.get("/proposals")
    assert (told["version"], told["reviewed"], told["left_out"]) == (3, 12, 0)
    found = proposals(bolts)
    assert found.keys() == {"conformal", "between", "extend"}
    everything = [each["score"] for each in (*alarms, *anomalies)] + scores
    old = alarms[0]["threshold"]
    for rule in ("conformal", "between"):
        proposed = found[rule]["proposed"]
        value = proposed["threshold"]["value"]
        assert proposed["history"] == {
            "images": 22,
            "flagged_before": sum(score > old for score in everything),
            "flagged_after": sum(score > value for score in everything),
        }
        assert proposed["reviews"] == {
            word: {
                "images": len(results),
                "flagged_before": len(results),
                "flagged_after": sum(each["score"] > value for each in results),
            }
            for word, results in (("confirmed", anomalies), ("false_alarm", alarms))
        }
    between = found["between"]["proposed"]
    assert max(each["score"] for each in alarms) < between["threshold"]["value"]
    assert between["reviews"]["false_alarm"]["flagged_after"] == 0
    assert between["reviews"]["confirmed"]["flagged_after"] == 4
    conformal = found["conformal"]["proposed"]
    assert conformal["threshold"]["value"] >= old
    assert conformal["images_added"] == 8
    extended = found["extend"]["proposed"]
    assert not extended["threshold"]["stale"]
    assert extended["reviews"]["false_alarm"]["flagged_after"] < len(alarms)
    assert extended["images_added"] == 8


def test_passed_images_are_counted_and_move_no_promised_line(bolts: Line) -> None:
    """Reference: what each proposal would flag of them, by their scores; none is taken in."""
    review_all(bolts, range(2000, 2005), 25, "false_alarm")
    before = {target: proposals(bolts, target=target) for target in (0.05, 0.4)}
    old = before[0.05]["extend"]["proposed"]["threshold"]
    normal = bolts.score([picture(seed) for seed in range(2200, 2210)])
    passed = [each for each in normal if not each["flagged"]]
    for each in passed:
        assert bolts.review(each["id"], "passed").status_code == 201
    for target, earlier in before.items():
        found = proposals(bolts, target=target)
        conformal = found["conformal"]["proposed"]
        value = conformal["threshold"]["value"]
        assert value == earlier["conformal"]["proposed"]["threshold"]["value"]
        assert conformal["images_added"] == found["extend"]["proposed"]["images_added"] == 5
        assert found["extend"]["proposed"]["threshold"] == old
        flagged = sum(each["score"] > value for each in passed)
        assert conformal["reviews"]["passed"] == {
            "images": len(passed),
            "flagged_before": 0,
            "flagged_after": flagged,
        }
    assert flagged > 0  # by the lower line


@pytest.mark.parametrize("rule", ["conformal", "between", "extend"])
def test_applied_is_what_was_proposed_and_does_not_serve(bolts: Line, rule: str) -> None:
    """Law: the version has the proposed line, is out of service, and is audited."""
    review_all(bolts, range(2000, 2005), 25, "false_alarm")
    review_all(bolts, range(2100, 2102), 90, "confirmed")
    proposed = proposals(bolts)[rule]["proposed"]
    kind, query = ("images", {}) if rule == "extend" else ("threshold", {"rule": rule})
    answer = apply(bolts, kind, reason="weekly review", **query)
    assert answer.status_code == 201, answer.text
    told = strict(answer)
    assert told["lineage"]["change"] == "review"
    assert told["lineage"]["reason"] == "weekly review"
    assert told["detector"]["in_service"] == 3
    assert (told["detector"]["version"], told["detector"]["tip"]) == (4, 3)
    same = ("value", "statement", "stale", "calibration_images")
    applied = told["detector"]["threshold"]
    assert {key: applied[key] for key in same} == {key: proposed["threshold"][key] for key in same}
    assert bolts.get("")["version"] == 3
    lines = strict(bolts.client.get("/v1/audit", params={"subject": NAME}))["lines"]
    assert "version.review" in [each["action"] for each in lines]
    assert bolts.client.post(f"/v1/detectors/{NAME}/versions/4/promote").status_code == 200
    results = bolts.score([picture(seed, 25) for seed in range(2000, 2005)])
    flagged = proposed["reviews"]["false_alarm"]["flagged_after"]
    assert sum(each["flagged"] for each in results) == flagged


def test_added_images_can_be_forgotten(bolts: Line) -> None:
    """Law: by their digests, from the rows that were copied; scores are as before, to 1e-9."""
    alarms = review_all(bolts, range(2000, 2005), 25, "false_alarm")
    version = strict(apply(bolts, "images"))["detector"]["version"]
    identity = bolts.service.storage.versions.entry(NAME).id
    bolts.service.storage.blobs.delete_all(f"history/{identity}")  # what forgets on its own
    listed = bolts.get(f"/versions/{version}/images", limit=1000)["images"]
    digests = [each["sha256"] for each in listed if each["forgettable"]][-5:]
    told = {
        strict(bolts.client.get(f"/v1/images/{each['id']}"))["image"]["sha256"] for each in alarms
    }
    assert set(digests) == told
    forgotten = bolts.client.post(
        f"/v1/detectors/{NAME}/forget", json={"sha256": digests}, params={"base": version}
    )
    assert forgotten.status_code == 202
    assert followed(bolts.client, forgotten).status_code == 200
    again = bolts.score(
        [picture(seed, 25) for seed in range(2000, 2005)], version=version + 1, allow_stale=True
    )
    np.testing.assert_allclose(
        [each["score"] for each in again], [each["score"] for each in alarms], rtol=1e-9
    )


def test_added_scores_are_calibrated_with_again(bolts: Line) -> None:
    """Law: recalibrating the version without images has the added ones among its own."""
    review_all(bolts, range(2000, 2005), 25, "false_alarm")
    proposed = strict(apply(bolts, "threshold"))["detector"]
    assert proposed["calibration_images"] == 39 + 5
    query = {"target": 0.05, "base": proposed["version"]}
    again = bolts.verb("recalibrate", [], **query)
    assert again.status_code == 200, again.text
    made = strict(again)["detector"]
    assert made["calibration_images"] == 39 + 5
    assert made["threshold"]["value"] == pytest.approx(proposed["threshold"]["value"], rel=1e-9)


def test_an_image_is_taken_in_but_once(bolts: Line) -> None:
    """Contract: neither sent twice nor reviewed twice, nor after it was taken in."""
    review_all(bolts, [2000, 2000, 2001], 25, "false_alarm")
    assert proposals(bolts)["conformal"]["proposed"]["images_added"] == 2
    assert proposals(bolts)["extend"]["proposed"]["images_added"] == 2
    version = strict(apply(bolts, "threshold"))["detector"]["version"]
    assert bolts.client.post(f"/v1/detectors/{NAME}/versions/{version}/promote").status_code == 200
    for rule in ("conformal", "extend"):
        refused = proposals(bolts)[rule]["problem"]
        assert refused["type"].endswith("no-proposal")


def test_refusals_say_why(bolts: Line) -> None:
    """Contract: in the list as problems, on applying as 409; nothing is made."""
    for each in proposals(bolts).values():
        assert each["proposed"] is None
        assert "no image was reviewed" in each["problem"]["detail"]
    for kind, query in (("threshold", {}), ("threshold", {"rule": "between"}), ("images", {})):
        problem(apply(bolts, kind, **query), 409, "no-proposal")
    review_all(bolts, [2000], 90, "confirmed")
    found = proposals(bolts)
    assert "nothing to mend" in found["conformal"]["problem"]["detail"]
    assert "nothing to mend" in found["between"]["problem"]["detail"]
    assert "no reviewed false alarm" in found["extend"]["problem"]["detail"]
    too_low = proposals(bolts, target=0.001)["conformal"]["problem"]
    assert too_low["type"].endswith("insufficient-calibration")
    problem(apply(bolts, "shape"), 422, "invalid-request")
    problem(apply(bolts, "threshold", target=2), 422, "invalid-request")
    review_all(bolts, [2001], 0, "missed")
    one_sided = proposals(bolts)["between"]["problem"]
    assert "0 normal one(s), false alarms or passed, and 2 anomalies" in one_sided["detail"]
    assert len(bolts.get("/versions")["versions"]) == 3
    unknown = bolts.client.get("/v1/detectors/nuts/proposals")
    problem(unknown, 404, "unknown-detector")
