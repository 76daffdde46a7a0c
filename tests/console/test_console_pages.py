"""The console's files: who gets them, how strict the browser is told to be, how they start."""

import pytest
from browsing import Window
from console_checks import check
from real_server import Server

from app.console.pages import FILES, HEADERS

SCRIPTS = sorted(path.relative_to(FILES).as_posix() for path in FILES.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", SCRIPTS)
def test_every_file_is_served_strictly(server: Server, path: str) -> None:
    """Contract: with the policy and without a key."""
    response = server.client.get(f"/console/{path}")
    assert response.status_code == 200
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    again = server.client.get(
        f"/console/{path}", headers={"If-None-Match": response.headers["etag"]}
    )
    assert again.status_code == 304


def test_the_root_leads_to_the_console(server: Server) -> None:
    """Contract: for who types the bare address."""
    assert server.client.get("/").headers["location"] == "console/"
    assert server.client.get("/console", follow_redirects=True).status_code == 200


@pytest.mark.parametrize(
    "path", ["no.js", "../pages.py", "%2e%2e/pages.py", "js/../../pages.py", "..%2fpages.py"]
)
def test_nothing_else_is_served(server: Server, path: str) -> None:
    """Law: no file outside of the folder."""
    assert server.client.get(f"/console/{path}").status_code == 404


def test_it_starts_empty(window: Window) -> None:
    """Contract: with a word on what to do first."""
    window.open()
    assert window.page.get_by_role("heading", name="No detectors yet").is_visible()
    check(window)


def test_its_files_are_no_requests_of_the_api(server: Server) -> None:
    """Contract: neither in the metrics nor in the log, which a page of many files would fill."""

    def counted() -> list[str]:
        lines = server.client.get("/metrics").text.splitlines()
        return [line for line in lines if line.startswith("gatewatch_requests_total{")]

    before = counted()
    assert server.client.get("/console/js/main.js").status_code == 200
    assert server.client.get("/console/no.js").status_code == 404
    assert counted() == before
    assert server.client.get("/v1/info").status_code == 200
    assert counted() != before
    assert "/v1/info" in server.log.read_text()
    assert "/console/no.js" not in server.log.read_text()
