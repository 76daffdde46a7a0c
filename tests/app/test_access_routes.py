"""Every route of the real application takes the role that the design gives it."""

import pytest
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from app.access.guard import OPEN_PATHS, Needs
from app.main import describe

ROLES = {
    "POST /v1/detectors": "fit",
    "GET /v1/detectors": "score",
    "GET /v1/detectors/{name}": "score",
    "DELETE /v1/detectors/{name}": "admin",
    "POST /v1/detectors/{name}/fit": "fit",
    "POST /v1/detectors/{name}/forget": "fit",
    "POST /v1/detectors/{name}/calibrate": "admin",
    "POST /v1/detectors/{name}/recalibrate": "admin",
    "GET /v1/detectors/{name}/threshold": "score",
    "PUT /v1/detectors/{name}/threshold": "admin",
    "POST /v1/detectors/{name}/threshold/preview": "score",
    "GET /v1/detectors/{name}/threshold/scores": "score",
    "POST /v1/detectors/{name}/score": "score",
    "POST /v1/score": "score",
    "GET /v2": "score",
    "GET /v2/models/{name}": "score",
    "GET /v2/models/{name}/versions/{version}": "score",
    "GET /v2/models/{name}/ready": "score",
    "GET /v2/models/{name}/versions/{version}/ready": "score",
    "POST /v2/models/{name}/infer": "score",
    "POST /v2/models/{name}/versions/{version}/infer": "score",
    "POST /v1/detectors/{name}/explain": "score",
    "POST /v1/detectors/{name}/map": "score",
    "POST /v1/detectors/{name}/divergence": "score",
    "GET /v1/detectors/{name}/versions": "score",
    "GET /v1/detectors/{name}/versions/{version}": "score",
    "GET /v1/detectors/{name}/versions/{version}/images": "fit",
    "POST /v1/detectors/{name}/versions/{version}/promote": "admin",
    "POST /v1/detectors/{name}/compare": "score",
    "DELETE /v1/detectors/{name}/versions/{version}": "admin",
    "POST /v1/detectors/{name}/rollback": "admin",
    "POST /v1/adapt": "fit",
    "GET /v1/jobs": "fit",
    "GET /v1/jobs/{job}": "fit",
    "GET /v1/jobs/{job}/events": "fit",
    "GET /v1/jobs/{job}/gates": "fit",
    "DELETE /v1/jobs/{job}": "fit",
    "GET /v1/detectors/{name}/shadow": "score",
    "PUT /v1/detectors/{name}/shadow": "admin",
    "DELETE /v1/detectors/{name}/shadow": "admin",
    "GET /v1/detectors/{name}/drift": "score",
    "POST /v1/detectors/{name}/drift/acknowledge": "admin",
    "POST /v1/detectors/{name}/drift/rebaseline": "admin",
    "GET /v1/notices": "admin",
    "POST /v1/notices/test": "admin",
    "GET /v1/detectors/{name}/export": "fit",
    "POST /v1/import": "admin",
    "GET /v1/detectors/{name}/history": "score",
    "POST /v1/detectors/{name}/replay": "fit",
    "POST /v1/detectors/{name}/drift/replay": "fit",
    "GET /v1/detectors/{name}/drift/power": "fit",
    "GET /v1/detectors/{name}/proposals": "fit",
    "POST /v1/detectors/{name}/proposals/{kind}/apply": "admin",
    "GET /v1/traffic": "score",
    "GET /v1/images/{id}": "score",
    "GET /v1/reviews": "fit",
    "POST /v1/reviews": "fit",
    "GET /v1/me": "score",
    "GET /v1/keys": "admin",
    "POST /v1/keys": "admin",
    "DELETE /v1/keys/{id}": "admin",
    "GET /v1/audit": "admin",
}
"""What each call takes: what learns fit, what decides admin, what changes nothing score."""


def routes() -> dict[str, RouteContext]:
    """Return every route as it is served, by method and path."""
    found: dict[str, RouteContext] = {}
    for route in iter_route_contexts(describe().routes):
        for method in route.methods or ():
            found[f"{method} {route.path}"] = route
    return found


def needed(route: RouteContext) -> list[str]:
    """Return the roles that a route's dependencies ask for, its router's first."""
    calls = [dependency.call for dependency in route.dependant.dependencies]
    return [call.role.value for call in calls if isinstance(call, Needs)]


def test_every_route_is_in_the_table() -> None:
    """Contract: no route without a decision, no decision without a route."""
    closed = {label for label, route in routes().items() if route.path not in OPEN_PATHS}
    assert closed == set(ROLES)


@pytest.mark.parametrize("label", ROLES)
def test_every_route_takes_the_role_of_the_design(label: str) -> None:
    """Contract: the highest of those it asks for; the router's own comes before the parameters.

    What a dependency of the router does not let through, no parameter reads a body for.
    """
    route = routes()[label]
    order = ["score", "fit", "admin"]
    assert max(needed(route), key=order.index) == ROLES[label]
    assert isinstance(route.dependant.dependencies[0].call, Needs)


def test_what_is_open_takes_no_role() -> None:
    """Contract: health, metrics and versions are there for whoever watches."""
    found = routes().values()
    assert {route.path for route in found} >= OPEN_PATHS
    for route in found:
        if route.path in OPEN_PATHS and isinstance(route.original_route, APIRoute):
            assert needed(route) == []
