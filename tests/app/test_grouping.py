"""Groups of images: one for all, folders, single names; contradictions are told."""

import json

import pytest

from app.errors import InvalidGroupError
from app.intake.grouping import Grouping


@pytest.mark.parametrize(
    ("name", "folder"),
    [("a.png", ""), ("lot/a.png", "lot"), ("day 1/lot/a.png", "day 1/lot"), ("l\\a.png", "l")],
)
def test_groups_come_from_folders(name: str, folder: str) -> None:
    """Contract: the whole path of the folder, for two days may have a lot of the same name."""
    assert Grouping(from_folder=True).of(name) == folder
    assert Grouping().of(name) == ""
    assert Grouping("x").of(name) == "x"


@pytest.mark.parametrize("rest", [Grouping("all"), Grouping(from_folder=True), Grouping()])
def test_single_names_win(rest: Grouping) -> None:
    """Contract: for those named; the rest keep what the request says of all."""
    named = rest.with_named('{"d/a.png": "one", "d/b.png": ""}')
    assert [named.of(name) for name in ("d/a.png", "d/b.png")] == ["one", ""]
    assert named.of("d/c.png") == rest.of("d/c.png")
    named.check(["d/b.png", "d/a.png", "d/c.png", "d/c.png"])


def test_two_ways_exclude_each_other() -> None:
    """Contract: neither could win."""
    with pytest.raises(InvalidGroupError, match="exclude each other"):
        Grouping("x", from_folder=True)


@pytest.mark.parametrize("group", ["x" * 201, "a\n", "\0", "\x7f", "\N{LINE SEPARATOR}", "\ud800"])
def test_groups_are_short_and_can_be_seen(group: str) -> None:
    """Contract: wherever they come from."""
    with pytest.raises(InvalidGroupError):
        Grouping(group)
    with pytest.raises(InvalidGroupError):
        Grouping().with_named(json.dumps({"a.png": group}))
    with pytest.raises(InvalidGroupError):
        Grouping(from_folder=True).of(f"{group}/a.png")
    assert Grouping("x" * 200).of("a") == "x" * 200
    assert Grouping("L\xf6t 7 \N{SNOWMAN}").of("a") == "L\xf6t 7 \N{SNOWMAN}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '"x"',
        '{"a.png": 1}',
        '{"a.png": null}',
        '{"a.png": {"b": "c"}}',
        '{"a.png": "x", "a.png": "y"}',
        '{"a.png": ' + "1" * 5000 + "}",
        "[" * 100_000,
        b"\xff\xfe\xfa",
    ],
)
def test_groups_must_be_an_object_of_texts(text: str | bytes) -> None:
    """Contract: anything else is refused, with an example."""
    with pytest.raises(InvalidGroupError, match="send a JSON object"):
        Grouping().with_named(text)


def test_names_must_be_there_once() -> None:
    """Contract: a name that fits nothing is a mistake, one that fits two images too."""
    grouping = Grouping(named={"a.png": "x"})
    with pytest.raises(InvalidGroupError, match=r"'a\.png', but no image"):
        grouping.check(["b.png"])
    with pytest.raises(InvalidGroupError, match=r"'a\.png', but 2 images"):
        grouping.check(["a.png", "a.png"])
