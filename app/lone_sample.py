"""The usual request to score: one sample as it is, and nothing else asked.

FastAPI solves every parameter and dependency of a route anew for each request, and that takes as
long as everything else of HTTP together. Where the body is the sample, and neither query nor time
limit came with it, there is nothing to solve: the route's function is called with its defaults.
All else goes FastAPI's way, which also describes the route, as does a name that can be none's.
"""

import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.access.credentials import Role
from app.access.guard import require
from app.deadlines import MAX_TIMEOUT_MS, TIMEOUT, deadline
from app.dependencies import Which, service_of
from app.images.sources import Upload, is_sample, lone, media_type
from app.middleware import allow_body, arrived
from app.schemas.scores import ScoreQuery
from detector.spec import NAME


@dataclass
class HowToScore(ScoreQuery, Which):
    """Which version scores, and how."""


class ScoreRoute(APIRoute):
    """A route of role ``score``, whose function takes a name, samples and ``HowToScore``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, behind one for lone samples."""
        described = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if not _is_lone(request):
                return await described(request)
            require(request, Role.SCORE)
            response = Response(media_type="application/json")
            scores = await self.endpoint(
                name=request.path_params["name"],
                upload=await _upload(request),
                service=service_of(request),
                response=response,
                how=HowToScore(),
            )
            response.body = scores.model_dump_json().encode()
            response.headers["Content-Length"] = str(len(response.body))
            return response

        return handle


async def _upload(request: Request) -> Upload:
    """Return the sample that is the request's whole body, as ``UploadDep`` would."""
    deadline_s = deadline(MAX_TIMEOUT_MS)
    allow_body(request.scope, service_of(request).settings.max_body_bytes)
    upload = await lone(request, deadline_s)
    arrived(request.scope, 1)
    return upload


def _is_lone(request: Request) -> bool:
    return (
        not request.scope["query_string"]
        and is_sample(media_type(request))
        and TIMEOUT not in request.headers
        and re.fullmatch(NAME, request.path_params["name"]) is not None
    )
