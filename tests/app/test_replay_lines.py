"""Who judges a replay: another scorer, another line, and on which calibration it is drawn."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from history_helpers import NAME, Line, line
from http_helpers import strict
from replay_helpers import again, lived, said

from app.lines import Line as Threshold
from app.past import rejudging
from app.past.rejudging import word
from detector.errors import InvalidSpecError
from detector.verdict import Threshold as Drawn


@pytest.fixture(scope="module")
def bolts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A detector whose versions 3 and 4 have scored; 5 was extended, and does not serve."""
    with line(tmp_path_factory.mktemp("replay")) as running:
        yield lived(running)


def test_a_target_is_decided_on_the_calibration(bolts: Line) -> None:
    """Law: a replay by target is that by the value which the preview gives for the target."""
    body = {"targets": [0.1]}
    preview = strict(bolts.client.post(f"/v1/detectors/{NAME}/threshold/preview", json=body))
    value = preview["points"][0]["threshold"]
    one = again(bolts, threshold=Threshold("conformal", {"target": 0.1}))
    other = again(bolts, threshold=Threshold("manual", {"value": value}))
    assert one.judge.require_threshold().value == value
    assert one.now == other.now


@pytest.mark.parametrize("scorer", ["gaussian", "regional", "kl", "prototype"])
def test_another_scorer_is_calibrated_first(bolts: Line, scorer: str) -> None:
    """Law: its line is the conformal one on its own scores of the calibration images."""
    found = again(bolts, scorer=scorer)
    judge = found.judge
    assert judge.spec.scorer == scorer
    assert judge.calibration is not None
    assert len(judge.calibration) == 39
    assert judge.calibration.above(judge.require_threshold().value).count <= 0.2 * 40
    assert found.images == len(said(bolts))
    assert not np.allclose(
        judge.calibration.scores, bolts.service.catalogue.get(NAME).detector.calibration.scores
    )


def test_a_stale_version_is_calibrated_for_a_target(bolts: Line) -> None:
    """Contract: its old scores are not used; its calibration images are judged by it anew."""
    found = again(bolts, version=5, threshold=Threshold("conformal", {"target": 0.1}))
    assert not found.judge.stale
    assert len(found.judge.require_calibrated()) == 39


def test_what_is_kept_does_not_carry_every_scorer(bolts: Line) -> None:
    """Contract: refused, naming those it carries."""
    detector = bolts.service.catalogue.get(NAME).detector
    cells = {name: part for name, part in detector.statistics.items() if name == "regional"}
    only_cells = replace(
        detector,
        spec=replace(detector.spec, scorer="regional", descriptor="regional"),
        statistics=cells,
    )
    with pytest.raises(InvalidSpecError, match="carries: regional, kl"):
        rejudging.with_scorer(only_cells, "fusion")
    whole = {name: part for name, part in detector.statistics.items() if name not in cells}
    only_whole = replace(detector, spec=replace(detector.spec, scorer="gaussian"), statistics=whole)
    with pytest.raises(InvalidSpecError, match="carries: gaussian, prototype"):
        rejudging.with_scorer(only_whole, "kl")


def test_a_line_by_hand_is_no_other_scorers(bolts: Line) -> None:
    """Contract: refused in words, unless a line is given."""
    line = Threshold("manual", {"value": 3.0})
    assert again(bolts, scorer="kl", threshold=line).judge.require_threshold().value == 3.0
    answer = bolts.client.put(
        f"/v1/detectors/{NAME}/threshold",
        json={"method": "manual", "value": 3.0},
        params={"promote": "never"},
    )
    version = strict(answer)["version"]
    with pytest.raises(InvalidSpecError, match="set by hand"):
        again(bolts, version=version, scorer="kl")


def test_words_are_those_of_scoring() -> None:
    """Law: on, above, below the line, in the band; a group's own line where it has one."""
    drawn = Drawn(2.0, "manual", None, "", by_group={"b": 3.0}, review=1.0)
    scores = (0.5, 1.0, 1.5, 2.0, 2.5, 3.5)
    words = ["normal", "normal", "uncertain", "uncertain", "anomalous", "anomalous"]
    assert [word(drawn, score, "") for score in scores] == words
    assert [word(drawn, score, "b") for score in scores][3:] == [*["uncertain"] * 2, "anomalous"]
