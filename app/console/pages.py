"""Serve the console's files, which need no key: what they show is asked of the API, by a key.

Nothing is loaded from elsewhere and nothing runs but these files: the policy allows no inline
script or style and no evaluation, and with Trusted Types the browser itself refuses to make markup
or script of a text, so that no name, group or error text can become either.
"""

import pathlib

from fastapi import FastAPI
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FILES = pathlib.Path(__file__).parent / "static"
PATH = "/console"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",  # pictures of the user's own, and thumbnails in answers
        "media-src blob:",  # sound and film of the user's own
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Asked again each time, for a digest that mostly has not changed: a new release shows at once.
    "Cache-Control": "no-cache",
}


class Pages(StaticFiles):
    """The files, with what the browser is to be strict about."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, or that it has not changed."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def is_console(path: str) -> bool:
    """Return whether a path is one of the console's, which are open to anybody."""
    return path in ("", "/", PATH) or path.startswith(f"{PATH}/")


def install(app: FastAPI) -> None:
    """Serve the console, and lead there who opens the service in a browser."""
    app.mount(PATH, Pages(directory=FILES, html=True), name="console")
    app.add_route("/", _lead_there, include_in_schema=False)


async def _lead_there(_request: object) -> Response:
    return RedirectResponse(f"{PATH.removeprefix('/')}/")
