"""The schemas of bodies and answers, each with its fields, from the API's own description."""

from functools import cache
from typing import Any

from app.main import describe
from reference.markdown import code, heading, table, text
from reference.types import kind

INTRODUCTION = """# Bodies and answers

The schemas that the [HTTP API](http.md) names. A field with a default may be left out of a body;
in an answer every field is there.
"""


@cache
def description() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return describe().openapi()


def page() -> str:
    """Return the page."""
    schemas = description()["components"]["schemas"]
    return "\n".join([INTRODUCTION, *(_schema(name, schemas[name]) for name in sorted(schemas))])


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    fields = schema.get("properties", {})
    rows = [_row(field, about, field in required) for field, about in fields.items()]
    parts = [
        heading(2, name, name.lower()),
        f"{text(schema.get('description'))}\n",
        table(["field", "value", "default", "meaning"], rows) or f"{kind(schema)}\n",
    ]
    return "\n".join(parts)


def _row(name: str, schema: dict[str, Any], required: bool) -> list[str]:
    default = (
        "" if required else "none" if schema.get("default") is None else code(schema["default"])
    )
    return [code(name), kind(schema), default, text(schema.get("description"))]
