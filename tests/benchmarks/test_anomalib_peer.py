"""The handler around anomalib's inferencers: with a stand-in, and with anomalib where it is."""

import io
import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from benchmarks.serving import anomalib_peer as peer
from benchmarks.serving.peers import PATH, PEERS


@pytest.fixture
def pictures(tmp_path: Path, texture: list[NDArray[np.uint8]]) -> list[Path]:
    """Files of a few normal pictures."""
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path, pixels in zip(paths, texture[:4], strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def test_a_picture_is_handed_over_at_the_models_size(pictures: list[Path]) -> None:
    """Contract: three channels, resized; the lock is held meanwhile; the score comes back."""
    lock, seen = threading.Lock(), []

    def predict(image: Image.Image) -> SimpleNamespace:
        seen.append((image.size, image.mode, lock.locked()))
        return SimpleNamespace(pred_score=np.array([[2.5]]))

    app = peer.create_app(SimpleNamespace(predict=predict), lock)
    with TestClient(app) as client:
        assert client.get("/readyz").status_code == 200
        grey = io.BytesIO()
        Image.open(pictures[0]).convert("L").save(grey, "png")
        answer = client.post(PATH, content=grey.getvalue(), headers={"Content-Type": "image/png"})
    assert answer.json() == {"score": 2.5}
    assert seen == [((peer.SIDE_PX, peer.SIDE_PX), "RGB", True)]


def test_every_kind_is_a_peer() -> None:
    """Contract: what can be started is in the table of peers."""
    ours = [one.arguments for one in PEERS if one.module == peer.__name__]
    assert ours == [(kind,) for kind in peer.KINDS]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", peer.KINDS)
def test_anomalib_scores_what_it_learned(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Contract: with anomalib itself; something else than texture scores higher."""
    if not all(one.installed for one in PEERS if one.arguments == (kind,)):
        pytest.skip("anomalib is not installed (extra 'compare')")
    monkeypatch.setenv("TRUST_REMOTE_CODE", "0")  # puts back what the inferencer sets
    made, _ = peer.KINDS[kind]
    inferencer = made(peer.padim(pictures), tmp_path)
    client = TestClient(peer.create_app(inferencer, nullcontext()))
    black = tmp_path / "black.png"
    Image.new("RGB", (100, 50)).save(black)
    normal, other = (
        client.post(PATH, content=path.read_bytes(), headers={"Content-Type": "image/png"})
        for path in (pictures[0], black)
    )
    assert 0 <= normal.json()["score"] < other.json()["score"]
