"""The description of the API, and the API against its description."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import schemathesis
from http_helpers import Pixels, calibrated, encode
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from real_server import Server
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)
from typer.testing import CliRunner
from upload_helpers import tarred, zipped

from app.cli import cli
from app.deadlines import MAX_TIMEOUT_MS
from app.images.sources import NDJSON
from app.intake.spooling import TAR, ZIP
from app.main import describe
from app.problems import MEDIA_TYPE
from detector.spec import NAME

DESCRIPTION = describe().openapi()
REJECTED = ["400", "403", "404", "405", "409", "413", "415", "422"]
"""How bad requests are refused; 413, of one image too many, and 403, of a folder that is not to be
imported, are none of schemathesis' own."""
SCHEMA = schemathesis.openapi.from_dict(
    DESCRIPTION,
    config=SchemathesisConfig.from_dict(
        {"checks": {"negative_data_rejection": {"expected-statuses": REJECTED}}}
    ),
)
HEADERS: dict[str, str] = {}
"""The key that the examples are sent with; made when the service is."""
PACKED = [(f"{i}.png", encode(np.full((20, 20, 3), 60 + i, np.uint8))) for i in range(3)]
for media_types, archive in ((ZIP, zipped(PACKED)), (TAR, tarred(PACKED))):
    for media_type in media_types:
        schemathesis.openapi.media_type(media_type, st.just(archive))
        schemathesis.serializer(media_type)(lambda _context, content: content)
for media_type in ("audio/*", "video/*"):  # whatever it is, it is no image
    schemathesis.openapi.media_type(media_type, st.binary())
    schemathesis.serializer(media_type)(lambda _context, content: content)
LINES = "\n".join(json.dumps({"name": n, "data": b64encode(c).decode()}) for n, c in PACKED)
schemathesis.openapi.media_type(NDJSON, st.just(LINES))
schemathesis.serializer(NDJSON)(lambda _context, content: str(content).encode())
UNSAYABLE = {
    f"urn:gatewatch:problem:{kind}"
    for kind in (
        "invalid-spec",
        "invalid-mask",
        "invalid-tensor",
        "invalid-group",
        "invalid-bundle",
        "invalid-key-spec",
        "key-exists",
        "idempotency-conflict",
    )
}
"""What no schema can say: which blocks the backbone has, which keys were used already."""
THOROUGHLY = settings(
    max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, texture: list[Pixels]) -> Iterator[str]:
    """Serve the API, with a calibrated detector named known, from a process of its own."""
    pngs = [encode(pixels) for pixels in texture[:40]]
    schemathesis.openapi.media_type("image/png", st.sampled_from(pngs[:3]))
    with Server(tmp_path_factory.mktemp("openapi") / "data").serving() as server:
        calibrated(server.client, "known", pngs, scorer="fusion")
        # With a key, for one of the examples may make the first one, which closes an open service.
        made = server.client.post("/v1/keys", json={"name": "schemathesis", "role": "admin"})
        HEADERS["Authorization"] = f"Bearer {made.json()['key']}"
        yield str(server.client.base_url).rstrip("/")
    assert "Traceback" not in server.log.read_text()


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_description_is_valid_and_what_the_command_line_prints() -> None:
    """Contract: OpenAPI 3.1 by its meta-schema; printed without a backbone or a data directory."""
    SCHEMA.validate()
    printed = CliRunner().invoke(cli, ["openapi"])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == DESCRIPTION


def test_every_operation_is_described() -> None:
    """Contract: every route of the API, each with words, and a problem for each of its errors."""
    labels = {label for label, _ in operations()}
    assert {f"POST /v1/detectors/{{name}}/{verb}" for verb in ("fit", "forget", "score")} <= labels
    for label, operation in operations():
        assert operation["description"]
        for status, response in operation["responses"].items():
            assert response["description"]
            if status >= "400" and "/v1" in label:
                assert list(response["content"]) == [MEDIA_TYPE]


def excluded(case: schemathesis.Case[Any]) -> list[Any]:
    """Leave out what can be no fault: another key than ours, one parameter given several times."""
    case.headers.pop("X-API-Key", None)
    # An image may take longer than a deadline that is valid: the longest that may be asked for.
    timeout_ms = str(case.headers.get("X-Request-Timeout-Ms", ""))
    if timeout_ms.isdecimal() and 1 <= int(timeout_ms) <= MAX_TIMEOUT_MS:
        case.headers["X-Request-Timeout-Ms"] = str(MAX_TIMEOUT_MS)
    repeated = any(isinstance(value, list) for value in case.query.values())
    return [negative_data_rejection] if repeated else []


@SCHEMA.parametrize()
@THOROUGHLY
def test_the_api_does_as_described(case: schemathesis.Case[Any], url: str) -> None:
    """Contract: all checks of schemathesis, on valid and invalid requests to every operation."""
    without = excluded(case)
    response = case.call(base_url=url, headers=HEADERS)
    is_problem = response.headers.get("content-type") == [MEDIA_TYPE]
    if is_problem and response.json()["type"] in UNSAYABLE:
        without.append(positive_data_acceptance)
    case.validate_response(response, headers=HEADERS, excluded_checks=without)


@SCHEMA.include(path_regex="name").exclude(method="DELETE").parametrize()
@THOROUGHLY
def test_the_api_does_as_described_for_a_detector_that_exists(
    case: schemathesis.Case[Any], url: str
) -> None:
    """Contract: as above, past the 404; the schema cannot say which bytes are images, though."""
    if re.fullmatch(NAME, str(case.path_parameters.get("name"))):
        case.path_parameters["name"] = "known"
    without = [*excluded(case), positive_data_acceptance]
    case.call_and_validate(base_url=url, headers=HEADERS, excluded_checks=without)
