"""The usual request to score: one sample as it is, and nothing else asked.

FastAPI solves every parameter and dependency of a route anew for each request, and that takes as
long as everything else of HTTP together. Where the body is the sample, and neither query nor time
limit came with it, there is nothing to solve: the route's function is called with its defaults.
All else goes FastAPI's way, which also describes the route, as does a name that can be none's.
"""

import inspect
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.access.credentials import Role
from app.access.guard import Needs, require
from app.admit import arrived
from app.deadlines import MAX_TIMEOUT_MS, TIMEOUT, deadline
from app.dependencies import ServiceDep, UploadDep, Which, service_of
from app.images.sources import Upload, is_sample, lone, media_type
from app.middleware import allow_body
from app.parameters import made
from app.schemas.base import DetectorName
from app.schemas.scores import ScoreQuery
from detector.spec import NAME


@dataclass
class HowToScore(ScoreQuery, Which):
    """Which version scores, and how."""


HowDep = Annotated[HowToScore, made(HowToScore)]
TAKEN = {
    "name": DetectorName,
    "upload": UploadDep,
    "service": ServiceDep,
    "response": Response,
    "how": HowDep,
}
"""The parameters of a function that can be called the short way: those that it gives."""


class ScoreRoute(APIRoute):
    """A route whose function takes what is ``TAKEN``, and which depends on roles alone."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, behind one for lone samples."""
        described, roles = super().get_route_handler(), self._roles()

        async def handle(request: Request) -> Response:
            if not _is_lone(request):
                return await described(request)
            for role in roles:
                require(request, role)
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

    def _roles(self) -> list[Role]:
        """Return the roles that it needs.

        Raises:
            TypeError: if there is more to be solved, which the short way would pass over.
        """
        parameters = inspect.signature(self.endpoint).parameters.items()
        taken = {name: each.annotation for name, each in parameters}
        needed = [depends.dependency for depends in self.dependencies]
        roles = [each.role for each in needed if isinstance(each, Needs)]
        if taken != TAKEN or len(roles) < len(needed):
            raise TypeError(f"{self.path} takes or needs what a lone sample is not asked for")
        return roles


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
