"""Contract: the service may stand below a path of another server."""

from pathlib import Path
from typing import Any

import pytest
from http_helpers import make_app, strict
from starlette.testclient import TestClient
from stub_backbone import stub_embedder

from app.paths import path_of

PREFIX = "/cells/one"


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"path": "/v1/info"}, "/v1/info"),
        ({"path": "/v1/info", "root_path": ""}, "/v1/info"),
        ({"path": "/a/v1/info", "root_path": "/a"}, "/v1/info"),
        ({"path": "/a/v1/info", "root_path": "/a/"}, "/v1/info"),
        ({"path": "/a", "root_path": "/a"}, ""),
        ({"path": "/ab/c", "root_path": "/a"}, "/ab/c"),
    ],
    ids=["alone", "empty", "below", "slash", "itself", "another"],
)
def test_paths_are_read_without_the_prefix(scope: dict[str, Any], path: str) -> None:
    assert path_of(scope) == path


def test_what_is_decided_by_the_path_is_decided_below_a_prefix(tmp_path: Path) -> None:
    """Contract: who is let in without a key, what is counted, how V2 says its errors, the door."""
    app = make_app(tmp_path, stub_embedder())
    base = f"http://example.org{PREFIX}"
    with TestClient(app, base, root_path=PREFIX) as client:
        for open_to_all in ("/livez", "/v1/info", "/openapi.json", "/console/", ""):
            assert client.get(open_to_all).status_code == 200, open_to_all
        refused = client.get("/v1/detectors")
        assert strict(refused)["status"] == 401
        v2 = client.get("/v2/models/nobody").json()
        assert v2["error"] == v2["detail"]
        app.state.service.ingest.admission._most_images = 0
        full = client.post("/v1/detectors/x/score", content=b"-")
        assert strict(full)["type"] == "urn:gatewatch:problem:overloaded"  # before the key
        app.state.drain.begin()
        assert client.get("/v1/info").status_code == 503
        assert client.get("/livez").status_code == 200
        assert client.get("/metrics").status_code == 200
