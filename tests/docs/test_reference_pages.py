"""The pages that are made from the code: all of it is there, once, and nothing else."""

import re
from collections import Counter

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.main import describe
from app.problems import STATUS, of
from app.settings import PREFIX, Settings
from app.telemetry import Telemetry
from gatewatch import AsyncClient, Client
from reference import PAGES, commands, readme
from reference.markdown import table, text
from reference.types import kind

MADE = {path: make() for path, make in PAGES.items()}


def firsts(path: str) -> list[list[str]]:
    """Return the cells of a page's tables, without headings, links and code marks."""
    rows = [line.strip("| ").split(" | ") for line in MADE[path].splitlines() if line[:1] == "|"]
    bare = [[re.sub(r"<a id[^>]*></a>|`", "", cell) for cell in row] for row in rows]
    return [
        row
        for at, row in enumerate(bare)
        if not {"---"} & {*row, *bare[min(at + 1, len(bare) - 1)]}
    ]


def headings(path: str, level: int) -> list[str]:
    """Return a page's headings of a level, without their anchors and code marks."""
    found = re.findall(rf"^{'#' * level} (.*?)(?: {{ #\S+ }})?$", MADE[path], re.M)
    return [words.replace("`", "") for words in found]


def test_every_setting_once() -> None:
    """Contract: with its default and its sentence, in the order of the class."""
    rows = firsts("reference/settings.md")
    assert [row[0] for row in rows] == [f"{PREFIX}{name}".upper() for name in Settings.model_fields]
    for (_, default, meaning), field in zip(rows, Settings.model_fields.values(), strict=True):
        assert default == ("unset" if field.default is None else str(field.default))
        said = " ".join((field.description or "").split()).replace("`", "")
        assert meaning.replace("\\", "") == said


def test_every_problem_once() -> None:
    """Contract: its type, status and sentence."""
    rows = {row[0]: row for row in firsts("reference/problems.md")}
    assert len(rows) == len(firsts("reference/problems.md")) == len(STATUS)
    for error, status in STATUS.items():
        (_, shown, about) = rows[of(error("")).type]
        assert shown.startswith(f"{status} ")
        assert about.replace("\\", "")[:20] in (error.__doc__ or "").replace("`", "")


def test_every_metric_once() -> None:
    """Contract: the families of an exposition, by kind and words."""
    rows = firsts("reference/metrics.md")
    families = text_string_to_metric_families(generate_latest(Telemetry().registry).decode())
    kinds = {each.name + "_total" * (each.type == "counter"): each.type for each in families}
    assert {row[0]: row[1] for row in rows} == kinds
    assert len(rows) == len(kinds) > 20
    by_name = {row[0]: row for row in rows}
    assert by_name["gatewatch_images_scored_total"][2] == "model, verdict"


def test_every_route_once() -> None:
    """Contract: method and path, with its own anchor."""
    paths = describe().openapi()["paths"]
    routes = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    assert Counter(headings("reference/http.md", 3)) == Counter(routes)
    anchors = re.findall(r"{ #(\S+) }", MADE["reference/http.md"])
    assert len(set(anchors)) == len(anchors)


def test_a_route_in_full() -> None:
    """Contract: role, parameters, bodies, answers and problems of one that has them all."""
    page = MADE["reference/http.md"]
    _, _, rest = page.partition("### `POST /v1/detectors/{name}/calibrate`")
    route = rest.partition("\n### ")[0]
    assert "Role: `admin`" in route
    assert re.search(r"\| `target` \| query \| number, above 0, below 1.*\| ", route)
    assert "| `multipart/form-data` | `images`: list of binary, 1 or more" in route
    assert "| 202 Accepted | `application/json`: [JobInfo](schemas.md#jobinfo) |" in route
    assert "| 404 Not Found | There is no detector of this name." in route
    assert "Role: `none`" in page.partition("### `GET /livez`")[2][:200]


def test_every_schema_once_with_its_fields() -> None:
    """Contract: those of the description, and links to no other."""
    schemas = describe().openapi()["components"]["schemas"]
    assert headings("reference/schemas.md", 2) == sorted(schemas)
    fields = [field for name in sorted(schemas) for field in schemas[name].get("properties", {})]
    assert [row[0] for row in firsts("reference/schemas.md")] == fields
    linked = re.findall(
        r"\((?:schemas\.md)?#(\w+)\)", MADE["reference/http.md"] + MADE["reference/schemas.md"]
    )
    assert set(linked) <= {name.lower() for name in schemas}


def test_every_command_once_with_its_options() -> None:
    """Contract: each that can be typed, groups' too; hidden ones are none."""
    names = list(commands.commands())
    assert headings("reference/commands.md", 2) == [f"gatewatch {name}" for name in names]
    assert {"serve", "fit", "import", "keys create"} <= set(names)
    for name, command in commands.commands().items():
        _, _, rest = MADE["reference/commands.md"].partition(f"\n## gatewatch {name} {{")
        chapter = rest.partition("\n## ")[0]
        for parameter in command.params:
            shown = (
                parameter.opts
                if parameter.opts[0][0] == "-"
                else [parameter.metavar or parameter.name]
            )
            for option in shown:
                assert re.search(rf"^\| `[^`]*{option}(?!\w)", chapter, re.M), f"{name} {option}"


def test_every_method_of_the_client_once() -> None:
    """Contract: the public ones of either client; answers, not the requests they come from."""
    public = [name for name in dir(Client) if not name.startswith("_")]
    assert headings("reference/client.md", 2) == public
    assert set(public) - {"close"} <= set(dir(AsyncClient))
    page = MADE["reference/client.md"]
    assert ") -> ImageResult\n" in page
    assert ") -> Job[Fitted]\n" in page
    assert ") -> Iterator[AuditLine]\n" in page
    assert not re.search(r"-> (Call|Submission|Listing)\[", page)


@pytest.mark.parametrize("path", readme.CHAPTERS)
def test_chapters_of_the_readme_are_whole(path: str) -> None:
    """Contract: the README's own lines, and no chapter twice."""
    lines = set(readme.README.read_text().splitlines())
    page = MADE[path].splitlines()
    assert page[0] == f"# {readme.CHAPTERS[path]}"
    assert len(page) > 5
    same = [line for line in page[1:] if "](" not in line and "(`" not in line]
    assert set(same) <= lines
    others = {f"{'#' * level} {name}" for level in (2, 3) for name in readme.CHAPTERS.values()}
    assert not others & set(page)


def test_links_of_the_root_become_links_of_the_site() -> None:
    """Contract: pages stay linked; what the site does not hold is named."""
    source = (
        "[a](docs/a.md#x) [m](models/weights/README.md) [C](CONTRIBUTING.md) [w](https://w.x/y)"
    )
    linked = readme.linked(source, "guides/http.md")
    assert (
        linked
        == "[a](../a.md#x) m (`models/weights/README.md`) C (`CONTRIBUTING.md`) [w](https://w.x/y)"
    )


def test_words_are_safe_in_a_table() -> None:
    """Contract: no cell ends another, no description is markup; code stays as it is."""
    assert text("a | b\n <i>*x*</i> [y](z)") == r"a \| b \<i\>\*x\*\</i\> \[y\](z)"
    assert text("``a_b | c_d`` e_f") == r"`a_b \| c_d` e\_f"
    assert table(["x"], []) == ""


def test_types_in_words() -> None:
    """Contract: what a value may be and its bounds."""
    reference = {"$ref": "#/components/schemas/Region"}
    assert kind({"anyOf": [reference, {"type": "null"}]}, "s.md") == "[Region](s.md#region) or null"
    assert kind({"type": "array", "items": {"type": "number", "minimum": 0}, "maxItems": 4}) == (
        "list of number, at least 0, at most 4"
    )
    assert kind({"enum": ["a", "b"]}) == "`a`, `b`"
    assert (
        kind({"type": "object", "additionalProperties": {"type": "number"}}) == "object of number"
    )
    assert kind({}) == "anything"
