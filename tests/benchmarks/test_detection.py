"""The detection benchmark on the real defect set, through the HTTP API of a real server."""

from pathlib import Path

import pytest

from benchmarks import detection


@pytest.mark.slow
def test_defects_of_bsdata_are_found(data_dir: Path, tmp_path: Path) -> None:
    """Reference: the floor that the default scorer must hold on real defects."""
    out = tmp_path / "results.json"

    outcomes = detection.main([str(data_dir / "bsdata"), "--out", str(out)])

    found = {item.scorer: item for item in outcomes}
    assert found["gaussian"].auroc >= 0.80
    assert 0.5 < found["prototype"].auroc <= 1
    assert found["gaussian"].train_images == 300
    assert out.exists()
