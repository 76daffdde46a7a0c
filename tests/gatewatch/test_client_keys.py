"""Keys through each client: made, needed, and refused where they may not."""

from pathlib import Path

import pytest
from client_helpers import STUB, both
from real_server import Server

import gatewatch


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_keys(kind: str, tmp_path: Path) -> None:
    """Contract: once there is a key it is needed; each role does what it may and no more."""
    with Server(tmp_path / "data", {}, STUB).serving() as server:
        address = f"http://127.0.0.1:{server.port}"
        for local in both(kind, address):
            boss = local.create_key("boss", "admin")
            lamp = local.create_key("lamp", "score", per_minute=3)
        for admin in both(kind, address, api_key=boss.key):
            known = admin.keys()
            assert [key.name for key in known] == ["boss", "lamp"]
            assert admin.audit()[-1].action == "create key"
            assert admin.audit(order="newest") == admin.audit()[::-1]
            assert admin.audit(order="newest", before=admin.audit()[-1].sequence, limit=1)
        for nobody in both(kind, address, retries=0):
            with pytest.raises(gatewatch.KeyRequiredError):
                nobody.detectors()
        for scorer in both(kind, address, api_key=lamp.key, retries=0):
            with pytest.raises(gatewatch.RoleTooLowError):
                scorer.create("bolts")
            with pytest.raises(gatewatch.TooManyRequestsError) as caught:
                [scorer.detectors() for _ in range(4)]
            assert caught.value.retry_after_s > 0
        for admin in both(kind, address, api_key=boss.key):
            admin.revoke_key(lamp.id)
            with pytest.raises(gatewatch.NoAdminKeyError):
                admin.revoke_key(boss.id)
