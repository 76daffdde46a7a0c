"""A shadow scores alongside, is counted, and is heard by nobody."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import problem, strict

ODD = (0, 15, 20, 25, 30, 90)


@pytest.fixture
def bolts(tmp_path: Path) -> Iterator[Line]:
    """A detector in version 3; version 4, out of service, has a line far higher."""
    with line(tmp_path) as running:
        running.fit()
        body = {"method": "manual", "value": 8.0}
        raised = running.client.put(
            f"/v1/detectors/{NAME}/threshold", json=body, params={"promote": "never"}
        )
        assert raised.status_code == 200
        yield running


def put(bolts: Line, version: int, name: str = NAME) -> Any:
    """Ask for a shadow."""
    return bolts.client.put(f"/v1/detectors/{name}/shadow", json={"version": version})


@pytest.mark.parametrize("history_bytes", [2**30, 0])
def test_disagreements_are_those_of_scoring_twice(tmp_path: Path, history_bytes: int) -> None:
    """Reference: the same pictures by each version alone; with and without a history."""
    with line(tmp_path, history_bytes=history_bytes) as bolts:
        bolts.fit()
        (mild,) = bolts.score([picture(99, 25)])
        value = {"method": "manual", "value": mild["score"]}
        bolts.client.put(f"/v1/detectors/{NAME}/threshold", json=value, params={"promote": "never"})
        assert bolts.get("/shadow")["shadow"] is None
        assert put(bolts, 4).status_code == 200
        pictures = [picture(100 + i, ODD[i % len(ODD)]) for i in range(24)]
        theirs = bolts.score(pictures, version=4)  # by name: no shadow beside it
        assert bolts.get("/shadow")["images"] == 0
        ours = bolts.score(pictures) + bolts.score(pictures[:5])
        assert {each["verdict"] for each in ours} == {"normal", "anomalous"}
        one = [each["flagged"] for each in ours]
        other = [each["flagged"] for each in (*theirs, *theirs[:5])]
        told = bolts.get("/shadow")
        pairs = list(zip(one, other, strict=True))
        assert told["images"] == 29
        assert told["agreed"] == sum(a == b for a, b in pairs)
        assert told["only_service"] == pairs.count((True, False)) > 0
        assert told["only_shadow"] == pairs.count((False, True))
        assert told["since"] < told["until"]
        text = bolts.client.get("/metrics").text
        series = f'gatewatch_shadow_disagreements_total{{model="{NAME}",side="service"}}'
        assert f"{series} {float(told['only_service'])}" in text


def test_the_shadow_ends(bolts: Line) -> None:
    """Contract: nothing is counted any more; what was counted comes back with it; audited."""
    assert put(bolts, 4).status_code == 200
    bolts.score([picture(1)])
    address = f"/v1/detectors/{NAME}/shadow"
    assert bolts.client.delete(address).status_code == 204
    bolts.score([picture(2)])
    told = bolts.get("/shadow")
    assert (told["shadow"], told["images"], told["since"]) == (None, 0, None)
    assert strict(put(bolts, 4))["images"] == 1
    lines = strict(bolts.client.get("/v1/audit", params={"subject": NAME}))["lines"]
    assert [each["after"] for each in lines if each["action"] == "version.shadow"] == [
        {"shadow": 4},
        {"shadow": None},
        {"shadow": 4},
    ]


def test_what_cannot_be_a_shadow(bolts: Line) -> None:
    """Contract: refused in words; none is set."""
    told = problem(put(bolts, 3), 409, "shadow-in-service")
    assert "in service" in told["detail"]
    problem(put(bolts, 99), 404, "unknown-version")
    problem(put(bolts, 1), 409, "not-fitted")
    problem(put(bolts, 2), 409, "not-calibrated")
    problem(put(bolts, 4, "nuts"), 404, "unknown-detector")
    problem(bolts.client.put(f"/v1/detectors/{NAME}/shadow", json={}), 422, "invalid-request")
    assert bolts.get("/shadow")["shadow"] is None
