"""The HTTP API: every route with its role, parameters, bodies, answers and problems."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi.routing import APIRoute, iter_route_contexts

from app.access.credentials import Role
from app.access.guard import Needs
from app.main import describe
from app.problems import MEDIA_TYPE
from reference.markdown import anchor_of, code, heading, table, text
from reference.schemas import description
from reference.types import kind

INTRODUCTION = """# HTTP API

Every call, as the service's own description of itself (`/openapi.json`, `gatewatch openapi`) has
it; a running service shows it at `/docs`, where calls can be tried. A key travels as
`Authorization: Bearer KEY` or `X-API-Key: KEY`. All problems are [problem
documents](problems.md).
"""
SCHEMAS = "schemas.md"


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield every operation with its method and path, in the order of the description."""
    for path, methods in description()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def page() -> str:
    """Return the page."""
    roles = dict(_roles())
    by_tag: dict[str, list[str]] = {}
    for method, path, operation in operations():
        (tag,) = operation["tags"]
        by_tag.setdefault(tag, []).append(_operation(method, path, operation, roles))
    chapters = [
        heading(2, tag.capitalize(), f"tag-{tag}") + "\n" + "\n".join(by_tag[tag]) for tag in by_tag
    ]
    return "\n".join([INTRODUCTION, *chapters])


def _roles() -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the least role that may make each call."""
    for route in iter_route_contexts(describe().routes):
        if not isinstance(route.original_route, APIRoute):
            continue  # pages of the description itself, which are not in it
        calls = [each.call for each in route.dependant.dependencies]
        asked = [call.role for call in calls if isinstance(call, Needs)]
        role = max(asked, key=list(Role).index).value if asked else "none"
        for method in route.methods or ():
            yield (method, str(route.path)), role


def _operation(
    method: str, path: str, operation: dict[str, Any], roles: dict[tuple[str, str], str]
) -> str:
    parameters = [_parameter(each) for each in operation.get("parameters", [])]
    answers = operation["responses"]
    good = {status: each for status, each in answers.items() if not _is_problem(each)}
    bad = {status: each for status, each in answers.items() if _is_problem(each)}
    parts = [
        heading(3, code(f"{method} {path}"), anchor_of(method, path)),
        f"{text(operation.get('description') or operation['summary'])}\n",
        f"Role: {code(roles[method, path])}\n",
        table(["parameter", "in", "value", "default", "meaning"], parameters),
        _body(operation.get("requestBody")),
        table(
            ["answer", "content"],
            [[_status(status), _content(each)] for status, each in good.items()],
        ),
        table(
            ["problem", "when"], [[_status(s), text(bad[s]["description"])] for s in sorted(bad)]
        ),
    ]
    return "\n".join(part for part in parts if part)


def _parameter(parameter: dict[str, Any]) -> list[str]:
    schema = parameter["schema"]
    default = "" if parameter["required"] else "none"
    if schema.get("default") is not None:
        default = code(repr(schema["default"]) if schema["default"] == "" else schema["default"])
    about = text(parameter.get("description"))
    return [code(parameter["name"]), parameter["in"], kind(schema, SCHEMAS), default, about]


def _body(body: dict[str, Any] | None) -> str:
    if body is None:
        return ""
    needed = "Body" if body.get("required") else "Body, may be left out"
    rows = [[code(media), _form(each["schema"])] for media, each in body["content"].items()]
    return table([needed, "content"], rows)


def _form(schema: dict[str, Any]) -> str:
    """Return a schema in words; one that has no page of its own with its fields."""
    fields = schema.get("properties", {})
    inside = [f"{code(name)}: {kind(each, SCHEMAS)}" for name, each in fields.items()]
    return "; ".join(inside) or kind(schema, SCHEMAS)


def _is_problem(answer: dict[str, Any]) -> bool:
    return MEDIA_TYPE in answer.get("content", {})


def _status(status: str) -> str:
    return f"{status} {HTTPStatus(int(status)).phrase}"


def _content(answer: dict[str, Any]) -> str:
    content = answer.get("content", {})
    return (
        "; ".join(
            f"{code(media)}: {_form(each.get('schema', {}))}" for media, each in content.items()
        )
        or "-"
    )
