"""``gatewatch bench --compare anomalib``: the same run with published methods beside ours."""

import json
from pathlib import Path
from typing import Any

import pytest

from detector import peers

pytestmark = pytest.mark.skipif(
    not peers.installed(), reason="anomalib is not installed (extra 'compare')"
)


def test_peers_stand_beside_ours(bench: Any, defect_set: Path, tmp_path: Path) -> None:
    """Contract: one row each on the same images, with pixel figures, notes and no noise."""
    out = tmp_path / "out"

    ended = bench(
        defect_set,
        "--out",
        out,
        "--size",
        128,
        "--config",
        "squeeze/prototype",
        "--compare",
        "anomalib",
    )

    ours, *theirs = json.loads((out / "results.json").read_text())
    assert ours["descriptor"] == "squeeze"
    assert [row["scorer"] for row in theirs] == list(peers.PEERS)
    for row in theirs:
        assert (row["backbone"], row["descriptor"]) == ("se-lite0 trunk", "-")
        assert not row["default"]
        assert (row["train_images"], row["test_images"]) == (12, 10)
        assert row["auroc"] == 1.0  # a bright square on gravel
        assert 0.5 < row["pixel_auroc"] <= 1
        assert 0 <= row["pro"] <= 1
        assert row["detector_bytes"] > 0
    assert "coreset of 1 %" in (out / "summary.md").read_text()
    assert "Warning" not in ended.stderr
    assert "Coreset" not in ended.stderr


def test_another_network_is_not_compared(
    bench: Any,
    defect_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Contract: methods are compared on one trunk, or not at all."""
    monkeypatch.setattr("detector.peers.OURS", "another")

    ended = bench(defect_set, "--out", tmp_path / "out", "--compare", "anomalib", exit_code=1)

    assert "would not be compared on one network" in ended.stderr
    assert not (tmp_path / "out").exists()
