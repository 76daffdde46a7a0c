"""Who may do what: every request is by a key, or by ``local`` where none is needed.

Requests without a key are taken only while no key was ever made, and only if the server listens on
the loopback interface, or was told to be open (``GATEWATCH_OPEN``). Making the first key closes it
for good: neither expiry nor revocation of all keys opens it again; new ones come from the command
line (``gatewatch keys create``). A page in a browser of this machine reaches the loopback
interface too: on it a request without a key must be addressed to this machine by name, and come
from no other site (DNS rebinding, cross-site forms).

``Guard`` finds out who asks before a byte of the body is read; ``needs`` says on a route which role
it takes. A route without it still is closed to whoever has no key, but for ``is_open``.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from app import problem_answers
from app.access.credentials import Role
from app.access.identity import CREATE, Access, Identity, Trust, is_loopback
from app.console.pages import is_console
from app.errors import (
    KeyRefusedError,
    KeyRequiredError,
    RoleTooLowError,
    TooManyRequestsError,
    UnavailableError,
    UnprotectedError,
)
from app.paths import path_of
from app.settings import Settings
from app.storage.audit import Audit, By
from app.storage.database import Database
from app.storage.keys import Keys
from detector.errors import DetectorError

ERRORS = (
    KeyRequiredError,
    KeyRefusedError,
    RoleTooLowError,
    TooManyRequestsError,
    UnavailableError,
)
"""What any route that needs a role may answer."""
OPEN_PATHS = {"/livez", "/readyz", "/health", "/metrics", "/v1/info"} | {
    "/v2/health/live",
    "/v2/health/ready",
    "/docs",
    "/docs/oauth2-redirect",
    "/redoc",
    "/openapi.json",
}
"""Routes that answer anybody: health, metrics, versions and limits, and the API's description."""


def is_open(path: str) -> bool:
    """Return whether a path answers anybody: the console's files hold nothing of the service's."""
    return path in OPEN_PATHS or is_console(path)


class Guard:
    """Lets a request through with its identity in ``scope``, or answers why not."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer in its place."""
        if scope["type"] == "http" and not is_open(path_of(scope)):
            request = Request(scope)
            try:
                scope["identity"] = await self._access.identify(request.headers)
            except DetectorError as error:
                await problem_answers.answer(request, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def install(app: FastAPI, settings: Settings, database: Database) -> None:
    """Guard the app by the keys of a database.

    Raises:
        UnprotectedError: if it would be open to other machines without having been told so.
    """
    keys = Keys(database)
    local = is_loopback(settings.host)
    trust: Trust = "anybody" if settings.open else "loopback" if local else "nobody"
    if trust == "nobody" and not keys.snapshot().ever:
        raise UnprotectedError(
            f"listening on {settings.host} would let anybody who reaches it do anything: make a "
            f"key ({CREATE}), or set GATEWATCH_OPEN=true if that is meant"
        )
    app.state.keys, app.state.audit = keys, Audit(database)
    app.add_middleware(Guard, access=Access(keys, trust))


_BEARER = HTTPBearer(auto_error=False, description="An API key, as a bearer token.")
_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key, as it is.")


@dataclass(frozen=True)
class Needs:
    """The dependency of a route that takes a role; the schemes are there for the description."""

    role: Role

    async def __call__(
        self,
        request: Request,
        _bearer: Annotated[Any, Security(_BEARER)],
        _header: Annotated[Any, Security(_HEADER)],
    ) -> None:
        """Let nobody of a lower role pass.

        Raises:
            RoleTooLowError: naming both roles.
        """
        require(request, self.role)


def require(request: Request, role: Role, what: str = "this") -> None:
    """Let nobody of a lower role do what is asked.

    Raises:
        RoleTooLowError: naming both roles.
    """
    identity: Identity = request.scope["identity"]
    if not identity.role.includes(role):
        raise RoleTooLowError(
            f"{what} needs a key of role {role.value!r}; "
            f"{identity.name!r} has role {identity.role.value!r}"
        )


def needs(role: Role) -> Any:
    """Return the dependency for a router or a route that takes this role: ``[needs(Role.FIT)]``."""
    return Depends(Needs(role))


async def _by(
    request: Request,
    reason: Annotated[
        str,
        Query(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$", description="Why; for the audit."),
    ] = "",
) -> By:
    return By(request.scope["identity"].name, reason, request.scope.get("request_id", ""))


ByDep = Annotated[By, Depends(_by)]
"""Who makes a change, why, in which request: what every change is given."""
