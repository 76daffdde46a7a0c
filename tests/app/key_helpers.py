"""A small app behind keys, a clock that is set by hand, and requests with keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.testclient import TestClient

from app import problem_answers
from app.access import guard
from app.access.credentials import Role
from app.access.guard import ERRORS, ByDep, needs
from app.middleware import LimitBody, Observe
from app.problems import docs
from app.routes import audit, keys
from app.settings import Settings
from app.storage.audit import By
from app.storage.database import Database, open_database
from app.storage.keys import Keys
from app.telemetry import Telemetry

BY = By("tester", "because", "request-1")
NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved; seconds, and the moment they stand for."""

    def __init__(self) -> None:
        self.s = 1e6

    def __call__(self) -> float:
        return self.s

    def moment(self) -> datetime:
        return NOON + timedelta(seconds=self.s - 1e6)


class Note(BaseModel):
    text: str


def small_routes() -> FastAPI:
    """Return the routes of keys and audit, and some for each role, without anything behind them."""
    app = FastAPI(docs_url=None)
    problem_answers.install(app)
    for routes in (keys, audit):
        app.include_router(routes.router)

    @app.get("/v1/info")
    async def info() -> str:
        return "open"

    @app.get("/v1/score", dependencies=[needs(Role.SCORE)], responses=docs(*ERRORS))
    async def score(request: Request) -> str:
        return str(request.scope["identity"].name)

    @app.post("/v1/fit", dependencies=[needs(Role.FIT)], responses=docs(*ERRORS))
    async def fit(note: Note) -> str:
        return note.text

    @app.get("/v1/by", dependencies=[needs(Role.ADMIN)], responses=docs(*ERRORS))
    async def by(by: ByDep) -> list[str]:
        return [by.who, by.reason, by.request_id]

    @app.get("/v1/broken", dependencies=[needs(Role.SCORE)])
    def broken(request: Request) -> None:
        raise RuntimeError("broken")

    return app


def small_app(database: Database, **settings: Any) -> FastAPI:
    """Return an app of these routes behind the guard."""
    app = small_routes()
    guard.install(app, Settings(**settings), database)
    app.add_middleware(LimitBody, max_bytes=10_000)
    app.add_middleware(Observe, telemetry=Telemetry())
    return app


@contextmanager
def opened(directory: Path, url: str | None = None) -> Iterator[Database]:
    """Give a database, closed at the end."""
    database = open_database(url, directory)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def asking(
    database: Database, base_url: str = "http://127.0.0.1:8000", **settings: Any
) -> Iterator[TestClient]:
    """Give a client of the small app, which asks as somebody on this machine would."""
    app = small_app(database, **settings)
    with TestClient(app, base_url, raise_server_exceptions=False) as client:
        yield client


def bearer(text: str) -> dict[str, str]:
    """Return the headers that carry a key."""
    return {"authorization": f"Bearer {text}"}


def one_of_each(keys: Keys) -> dict[str, str]:
    """Make a key of each role, and one that is used up at its first request; return the texts."""
    texts = {role.value: keys.create(BY, f"{role.value}-1", role).text for role in reversed(Role)}
    texts["limited"] = keys.create(BY, "limited-1", Role.SCORE, per_minute=1).text
    return texts


def recorded(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[tuple[Any, ...]]:
    """Let a function of a module or class be called through; return the list of its arguments."""
    original = getattr(owner, name)
    calls: list[tuple[Any, ...]] = []

    def through(*arguments: Any) -> Any:
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(owner, name, through)
    return calls


PATHS = {"score": ("GET", "/v1/score"), "fit": ("POST", "/v1/fit"), "admin": ("GET", "/v1/by")}
"""Of the small app: a route that takes each role."""


def ask(client: TestClient, role: str, headers: Any = None) -> Any:
    """Ask for what takes a role."""
    method, path = PATHS[role]
    body = {"text": "x"} if method == "POST" else None
    return client.request(method, path, json=body, headers=headers)
