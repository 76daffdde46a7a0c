"""The Python client: every public method of `Client`, which `AsyncClient` has, too."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from gatewatch import Client
from reference.markdown import code, heading, text

INTRODUCTION = """# Python client

The methods of `gatewatch.Client`. `AsyncClient` has the same, to be awaited, and `async for` in
place of `for`. [From Python](../client.md) shows how they are used.
"""
GIVES = {"Submission": "Job", "Listing": "Iterator", r"Call\[(.+)\]$": r"\1"}
"""What a method returns in place of the request that its function makes."""


def methods() -> dict[str, Callable[..., Any]]:
    """Return the public methods by name, those of the class itself before those of the API."""
    found = dict(inspect.getmembers(Client, callable))
    return {name: found[name] for name in sorted(found) if not name.startswith("_")}


def page() -> str:
    """Return the page."""
    return "\n".join([INTRODUCTION, *(_method(*each) for each in methods().items())])


def _method(name: str, method: Callable[..., Any]) -> str:
    signature = inspect.signature(method)
    parameters = [each for key, each in signature.parameters.items() if key != "self"]
    shown = signature.replace(parameters=parameters)
    # Names without their modules are what a reader imports or knows.
    words = re.sub(r"(?:\w+\.)+(?=\w)", "", f"{name}{shown}")
    for made, given in GIVES.items():
        words = re.sub(rf"(?<=-> ){made}", given, words)
    about = text(inspect.getdoc(method))
    return f"{heading(2, code(name), name)}\n```python\n{_broken(words)}\n```\n\n{about}\n"


def _broken(words: str) -> str:
    """Return a signature with a parameter a line where one line would be long."""
    if len(words) <= 72:
        return words
    name, _, rest = words.partition("(")
    inside, _, result = rest.rpartition(") -> ")
    lines = re.split(r", (?=[*\w]+(?:[:,=]|$))", inside)
    return f"{name}(\n" + "".join(f"    {line},\n" for line in lines) + f") -> {result}"
