"""The description of the API, and the API against its description."""

import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from http_helpers import Pixels, calibrated, encode, make_app, running
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance
from typer.testing import CliRunner

from app.cli import cli
from app.credentials import Role
from app.main import describe
from app.problems import MEDIA_TYPE
from app.storage import Storage
from app.storage.audit import By
from detector.embedder import Embedder
from detector.spec import NAME

DESCRIPTION = describe().openapi()
REJECTED = ["400", "404", "405", "409", "413", "415", "422"]
"""How bad requests are refused; 413, of one image too many, is none of schemathesis' own."""
SCHEMA = schemathesis.openapi.from_dict(
    DESCRIPTION,
    config=SchemathesisConfig.from_dict(
        {"checks": {"negative_data_rejection": {"expected-statuses": REJECTED}}}
    ),
)
HEADERS: dict[str, str] = {}
"""The key that the examples are sent with; made when the service is."""
UNSAYABLE = {
    f"urn:gatewatch:problem:{kind}"
    for kind in ("invalid-spec", "invalid-mask", "invalid-key-spec", "key-exists")
}
"""What no schema can say: which blocks the backbone has, which bytes are an image."""
THOROUGHLY = settings(
    max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def url(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, texture: list[Pixels]
) -> Iterator[str]:
    """Serve the app, with a calibrated detector named known, on a real socket."""
    pngs = [encode(pixels) for pixels in texture[:40]]
    schemathesis.openapi.media_type("image/png", st.sampled_from(pngs[:3]))
    directory = tmp_path_factory.mktemp("openapi")
    with running(directory, embedder) as client:
        calibrated(client, "known", pngs, scorer="fusion")
    # With a key, for one of the examples may make the first one, which closes an open service.
    storage = Storage.open(directory)
    made = storage.keys.create(By("test"), "schemathesis", Role.ADMIN)
    HEADERS["Authorization"] = f"Bearer {made.text}"
    storage.close()
    app = make_app(directory, embedder)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


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


@SCHEMA.parametrize()
@THOROUGHLY
def test_the_api_does_as_described(case: schemathesis.Case[Any], url: str) -> None:
    """Contract: all checks of schemathesis, on valid and invalid requests to every operation."""
    response = case.call(base_url=url, headers=HEADERS)
    is_problem = response.headers.get("content-type") == MEDIA_TYPE
    unsayable = is_problem and response.json()["type"] in UNSAYABLE
    case.validate_response(
        response,
        headers=HEADERS,
        excluded_checks=[positive_data_acceptance] if unsayable else [],
    )


@SCHEMA.include(path_regex="name").exclude(method="DELETE").parametrize()
@THOROUGHLY
def test_the_api_does_as_described_for_a_detector_that_exists(
    case: schemathesis.Case[Any], url: str
) -> None:
    """Contract: as above, past the 404; the schema cannot say which bytes are images, though."""
    if re.fullmatch(NAME, str(case.path_parameters.get("name"))):
        case.path_parameters["name"] = "known"
    case.call_and_validate(
        base_url=url, headers=HEADERS, excluded_checks=[positive_data_acceptance]
    )
