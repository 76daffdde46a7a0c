"""Messages are read by who sent a request and by who typed a command: they suit both."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_HTTP = ("app/routes", "app/schemas", "app/console")
"""Which are about requests, and whose texts become the API's description."""
FILES = [
    path
    for name in ("app", "detector", "models")
    for path in sorted((ROOT / name).rglob("*.py"))
    if not str(path.relative_to(ROOT)).startswith(OF_HTTP)
]
SPEAKS_HTTP = re.compile(
    r"\b(GET|POST|PUT|PATCH|DELETE) \S*/| /v1/|(?<![A-Za-z_])(?!flips)[a-z_]+=(true|false)\b"
)
"""A route or a parameter in a sentence; ``flips=true`` is an example of what ``--option`` takes."""


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield all texts but those that document; of those with values their parts."""
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in documents:
            yield node.value


def test_messages_name_no_route_and_no_parameter() -> None:
    """Contract: what to do is said in words that hold for requests and for commands."""
    assert len(FILES) > 200
    assert not [
        (str(path.relative_to(ROOT)), text)
        for path in FILES
        for text in texts(ast.parse(path.read_text()))
        if SPEAKS_HTTP.search(text)
    ]


def test_the_rule_finds_them() -> None:
    for said in ("; POST /v1/detectors creates one", "with allow_stale=true", "GET .../images"):
        assert SPEAKS_HTTP.search(said)
    for said in ("set GATEWATCH_OPEN=true", "as flips=true.", "get and post / put"):
        assert not SPEAKS_HTTP.search(said)
