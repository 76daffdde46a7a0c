"""JSON schemas in words: what a value may be, and within which bounds."""

from typing import Any

from reference.markdown import code

BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "above {}",
    "exclusiveMaximum": "below {}",
    "minLength": "{} or more characters",
    "maxLength": "at most {} characters",
    "minItems": "{} or more",
    "maxItems": "at most {}",
}


def kind(schema: dict[str, Any], page: str = "") -> str:
    """Return a schema in words, with links to the schemas that it names.

    Args:
        schema: of OpenAPI 3.1.
        page: the schemas' page, as seen from where the words stand.
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}]({page}#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(kind(each, page) for each in schema[several]))
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    if "const" in schema:
        return code(schema["const"])
    return _plain(schema, page)


def _plain(schema: dict[str, Any], page: str) -> str:
    name = schema.get("type", "anything")
    words = str(schema.get("format", name))
    if name == "array":
        words = f"list of {kind(schema.get('items', {}), page)}"
    if name == "object":
        values = schema.get("additionalProperties")
        words = f"object of {kind(values, page)}" if isinstance(values, dict) else "object"
    bounds = [phrase.format(schema[key]) for key, phrase in BOUNDS.items() if key in schema]
    return ", ".join([words, *bounds])
