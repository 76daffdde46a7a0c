"""The command line: every command with its arguments and options, from the program itself."""

from typing import Any

import typer

from app.cli import cli
from reference.markdown import anchor_of, code, heading, table, text

INTRODUCTION = """# Commands

`gatewatch COMMAND --help` says the same. Settings come from the environment
([settings](settings.md)).
"""


def commands() -> dict[str, Any]:
    """Return every command by its words, `keys create`, in the order of the program."""
    return dict(_below(typer.main.get_command(cli), []))


def _below(group: Any, words: list[str]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, command in group.commands.items():
        path = [*words, name]
        is_group = hasattr(command, "commands")
        found += _below(command, path) if is_group else [(" ".join(path), command)]
    return found


def page() -> str:
    """Return the page."""
    return "\n".join([INTRODUCTION, *(_command(*each) for each in commands().items())])


def _command(words: str, command: Any) -> str:
    context = command.make_context(words, [], resilient_parsing=True)
    usage = " ".join(["gatewatch", words, *command.collect_usage_pieces(context)])
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [[code(name), text(about)] for name, about in filter(None, records)]
    parts = [
        heading(2, f"gatewatch {words}", anchor_of(words)),
        f"{text(command.help)}\n",
        f"```\n{usage}\n```\n",
        table(["argument or option", "meaning"], rows),
    ]
    return "\n".join(parts)
