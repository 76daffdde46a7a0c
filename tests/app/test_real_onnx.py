"""A real server on ONNX Runtime: torch answers until the graph is made, and the verdicts agree."""

import time
from pathlib import Path

import pytest
from real_server import Server

EXPORT_S = 240


def test_it_is_ready_before_its_graph_and_the_same_after(tmp_path: Path, pngs: list[bytes]) -> None:
    """Contract: warm is whoever can answer; scores agree, and the graph is kept."""
    server = Server(tmp_path / "data", {"GATEWATCH_ENGINE": "onnx"})
    with server.serving():
        body = {"name": "gravel", "scorer": "prototype"}
        assert server.client.post("/v1/detectors", json=body).status_code == 201
        assert server.upload("gravel", "fit", pngs[:8])["fitted"] == 8
        before = [server.score("gravel", png)["score"] for png in pngs[40:43]]
        deadline = time.monotonic() + EXPORT_S
        while server.client.get("/v1/info").json()["engine"] != "onnx":
            assert server.is_ready()
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.5)
        after = [server.score("gravel", png)["score"] for png in pngs[40:43]]
        assert after == pytest.approx(before, rel=1e-3)
        assert server.is_ready()
        assert list((tmp_path / "data" / "engines").glob("*-3x256.onnx"))
        assert "Traceback" not in server.log.read_text()
