"""Signing in: the key stays in the tab, a role sees what it may do, and no more is offered."""

import pytest
from browsing import Window
from console_checks import check
from playwright.sync_api import expect
from real_server import Server

ROLES = {"score": ["Detectors"], "fit": ["Detectors", "Jobs"]}
PLACES = ROLES | {"admin": ["Detectors", "Jobs", "Audit", "Keys"]}
REFUSED = "the server responded with a status of 401"


@pytest.fixture(scope="module")
def keys(server: Server) -> dict[str, str]:
    """A key of each role; with the first one the service is closed to who has none."""

    def made(role: str, **headers: str) -> str:
        body = {"name": f"the-{role}", "role": role}
        response = server.client.post("/v1/keys", json=body, headers=headers)
        assert response.status_code == 201, response.text
        return str(response.json()["key"])

    admin = made("admin")
    authorised = {"Authorization": f"Bearer {admin}"}
    return {"admin": admin} | {role: made(role, **authorised) for role in ROLES}


@pytest.fixture
def closed(window: Window, keys: dict[str, str]) -> Window:
    """A window of a service that asks for a key, which Chromium reports as a failed request."""
    window.expected = [REFUSED]
    window.open()
    return window


def sign_in(window: Window, key: str) -> None:
    window.page.get_by_label("API key").fill(key)
    window.page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("role", PLACES)
def test_a_role_is_offered_what_it_may_do(closed: Window, keys: dict[str, str], role: str) -> None:
    """Contract: pages of higher roles are not there."""
    sign_in(closed, keys[role])
    places = closed.page.get_by_role("navigation", name="Pages").get_by_role("link")
    expect(places).to_have_text(PLACES[role])
    expect(closed.page.get_by_text(f"the-{role} · {role}")).to_be_visible()
    expect(closed.page.get_by_role("heading", name="No detectors yet")).to_be_visible()
    check(closed)


def test_a_wrong_key_is_told(closed: Window) -> None:
    """Contract: in the service's words, and another can be tried at once."""
    check(closed)
    sign_in(closed, "gw_wrong")
    expect(closed.page.get_by_role("alert")).to_contain_text("unknown, wrong or revoked")
    expect(closed.page.get_by_label("API key")).to_be_focused()
    assert closed.page.evaluate("sessionStorage.length") == 0


def test_the_key_stays_in_its_tab(closed: Window, keys: dict[str, str]) -> None:
    """Law: a reload keeps it; no other tab, cookie or storage that outlives the tab has it."""
    sign_in(closed, keys["admin"])
    expect(closed.page.get_by_role("heading", name="Detectors", exact=True)).to_be_visible()
    closed.page.reload()
    expect(closed.page.get_by_role("heading", name="Detectors", exact=True)).to_be_visible()
    assert closed.page.evaluate("localStorage.length") == 0
    assert closed.page.context.cookies() == []
    other = closed.page.context.new_page()
    other.goto(closed.url)
    expect(other.get_by_label("API key")).to_be_visible()
    other.close()


def test_signing_out_forgets_the_key(closed: Window, keys: dict[str, str]) -> None:
    """Law: the next page asks for one."""
    sign_in(closed, keys["score"])
    closed.page.get_by_role("button", name="Sign out").click()
    expect(closed.page.get_by_label("API key")).to_be_visible()
    assert closed.page.evaluate("sessionStorage.length") == 0
    closed.open("/detectors")
    expect(closed.page.get_by_label("API key")).to_be_visible()


def test_a_key_that_is_revoked_meanwhile_asks_for_another(
    closed: Window, keys: dict[str, str], server: Server
) -> None:
    """Contract: at the next request, whatever page it is from."""
    authorised = {"Authorization": f"Bearer {keys['admin']}"}
    body = {"name": "leaving", "role": "fit"}
    made = server.client.post("/v1/keys", json=body, headers=authorised).json()
    sign_in(closed, made["key"])
    expect(closed.page.get_by_role("heading", name="Detectors", exact=True)).to_be_visible()
    server.client.delete(f"/v1/keys/{made['id']}", headers=authorised)
    closed.page.wait_for_timeout(1100)  # a second until the service believes it
    closed.page.get_by_role("link", name="Jobs").click()
    expect(closed.page.get_by_text("unknown, wrong or revoked")).to_be_visible()
    expect(closed.page.get_by_label("API key")).to_be_visible()


def test_what_is_no_key_is_not_sent(closed: Window) -> None:
    """Contract: quotes of a word processor come with a copied key."""
    sign_in(closed, "“gw_0123”")
    expect(closed.page.get_by_role("alert")).to_contain_text("This is no key")


def test_a_page_that_is_left_by_signing_out_asks_for_nothing(
    closed: Window, keys: dict[str, str]
) -> None:
    """Law: half a key that is being typed stays, and every address asks for one."""
    closed.page.clock.install()
    closed.open()
    sign_in(closed, keys["admin"])
    expect(closed.page.get_by_role("heading", name="Detectors", exact=True)).to_be_visible()
    closed.page.get_by_role("button", name="Sign out").click()
    closed.page.get_by_label("API key").fill("gw_hal")
    closed.page.clock.run_for(120_000)
    expect(closed.page.get_by_label("API key")).to_have_value("gw_hal")
    closed.open("/new")
    expect(closed.page.get_by_label("API key")).to_be_visible()
