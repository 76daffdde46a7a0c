"""The examples of the pages: what they type exists, and what they send is what is asked for."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import typer
from pages import SHELLS, Block, blocks, pages, shell

from app.cli import cli
from app.main import describe
from app.settings import OF_CLIENTS, PREFIX, Settings

API = describe().openapi()
BLOCKS = [block for path in pages() for block in blocks(path)]
TYPED = [block for block in BLOCKS if block.language in SHELLS]
BREAK = re.compile(r"\|\||&&|[;|&]")
"""What ends a command, where it stands alone."""


def calls(block: Block, program: str) -> Iterator[list[str]]:
    """Yield the words of each call of a program in a shell's block, after its own name.

    What a shell would put in place is one word: `$(...)` and `$NAME`.
    """
    text = re.sub(r"\$\(printf[^)]*\)(?=\s*$)", "-F images=@a.png", shell(block), flags=re.M)
    text = re.sub(r"=\$\((?=gatewatch)", "= ", text).replace("$(", " ")
    for line in logical_lines(text):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&()<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if not (BREAK.fullmatch(word) or word in {"(", ")"}):
                words.append(word)
                continue
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)  # variables of this call
            if words[:1] == [program]:
                yield words[1:]
            words = []


def logical_lines(text: str) -> Iterator[str]:
    """Yield the lines of a shell's text; one within quotes goes on."""
    line = ""
    for part in text.splitlines():
        line = f"{line}\n{part}" if line else part
        try:
            shlex.split(line, comments=True)
        except ValueError:
            continue
        yield line
        line = ""
    assert not line.strip(), f"a quote is not closed: {line}"


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that words name, and those that follow."""
    command: Any = typer.main.get_command(cli)
    while hasattr(command, "commands"):
        assert words[0] in command.commands, f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def test_there_are_examples() -> None:
    """Contract: the tests below would pass on pages without any."""
    assert len(list(pages())) > 15
    assert sum(len(list(calls(block, "gatewatch"))) for block in TYPED) > 40
    assert sum(len(list(calls(block, "curl"))) for block in TYPED) > 50
    assert len(BODIES) >= 15


@pytest.mark.parametrize("block", TYPED, ids=str)
def test_commands_exist_with_their_options(block: Block) -> None:
    """Contract: the program takes the words; whether files and detectors exist is not asked."""
    for words in calls(block, "gatewatch"):
        command, rest = command_of(words)
        known = {option for each in command.params for option in [*each.opts, *each.secondary_opts]}
        given = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert given <= known | {"--help"}, f"{block}: {words}"
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        needed = [each for each in arguments if each.required]
        assert len(rest) >= len(needed), f"{block}: {words}"


def requests(block: Block) -> Iterator[tuple[str, str, dict[str, list[str]]]]:
    """Yield method, path and options of each request to the service that a block sends."""
    for words in calls(block, "curl"):
        options: dict[str, list[str]] = {}
        at = 0
        urls = [
            word for word in words if re.match(r"(http://)?(localhost|127\.0\.0\.1):8000/", word)
        ]
        while at < len(words):
            if words[at].startswith("-") and at + 1 < len(words):
                options.setdefault(words[at], []).append(words[at + 1])
            at += 1
        sends = options.keys() & {"-d", "-F", "--data-binary"}
        for url in urls:
            method = options.get("-X", ["POST" if sends else "GET"])[0]
            yield method, "/" + url.partition(":8000/")[2], options


def template(method: str, path: str) -> str | None:
    """Return the route that answers a request, as the description names it."""
    bare = path.partition("?")[0]
    found = [
        known
        for known, methods in API["paths"].items()
        if method.lower() in methods and re.fullmatch(re.sub(r"{\w+}", "[^/]+", known), bare)
    ]
    return min(found, key=lambda known: known.count("{")) if found else None


@pytest.mark.parametrize("block", TYPED, ids=str)
def test_requests_are_of_routes_and_parameters_that_exist(block: Block) -> None:
    """Contract: method, path and the names of the query's parameters."""
    for method, path, _ in requests(block):
        known = template(method, path)
        assert known, f"{block}: no route answers {method} {path}"
        parameters = API["paths"][known][method.lower()].get("parameters", [])
        names = {each["name"] for each in parameters if each["in"] == "query"}
        query = [part.partition("=")[0] for part in path.partition("?")[2].split("&") if part]
        assert set(query) <= names, f"{block}: {method} {path}"


BODIES = [
    (block, known, method, text)
    for block in TYPED
    for method, path, options in requests(block)
    for text in options.get("-d", [])
    if (known := template(method, path))
]


@pytest.mark.parametrize(
    ("block", "known", "method", "text"),
    BODIES,
    ids=[f"{at}-{each[1]}" for at, each in enumerate(BODIES)],
)
def test_bodies_are_what_is_asked_for(block: Block, known: str, method: str, text: str) -> None:
    """Contract: the schema of the route takes them."""
    operation = API["paths"][known][method.lower()]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    body = json.loads(re.sub(r"\$[A-Z]+", "0" * 32, text))  # ids of earlier answers
    validator = jsonschema.Draft202012Validator(schema | {"components": API["components"]})
    assert not list(validator.iter_errors(body)), f"{block}: {text}"
    if isinstance(body, dict):
        unknown = body | {"no_such_field": 1}
        assert list(validator.iter_errors(unknown)), "a misspelt field would not be found"


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_variables_exist(path: Any) -> None:
    """Contract: what a page calls a setting is one, or what clients read."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | set(OF_CLIENTS)
    named = set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", path.read_text()))
    assert named <= known


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language == "json"], ids=str)
def test_json_is_json(block: Block) -> None:
    """Contract: what stands as JSON can be read as such."""
    json.loads(block.body)


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language == "python"], ids=str)
def test_python_is_run_by_a_test(block: Block) -> None:
    """Contract: an example stands on a page whose examples a test runs, in order."""
    assert block.path.name in {"client.md", "tutorial.md", "adding-a-kind.md"}
    compile(block.body, str(block), "exec")
