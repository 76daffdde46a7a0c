"""What a detector is before it has seen an image: names, sizes and options that can be."""

from typing import Any

import pytest

from detector.descriptors import IMAGE_LEVEL
from detector.errors import InvalidSpecError
from detector.options import Options
from detector.scorers import SCORERS
from detector.spec import Spec


@pytest.mark.parametrize("scorer", list(SCORERS))
def test_a_spec_fills_in_the_scorers_descriptor(scorer: str) -> None:
    """Contract: the default is the scorer's first; one of its others stays as given."""
    known = SCORERS[scorer].descriptors
    assert Spec("n", "b", "f", scorer).descriptor == known[0]
    for descriptor in known:
        assert Spec("n", "b", "f", scorer, descriptor).descriptor == descriptor
    assert Spec("n", "b", "f").scorer == "fusion"


def test_names_that_do_not_exist_are_refused_with_those_that_do() -> None:
    """Contract: the message lists what is allowed, of descriptors those that fit the scorer."""
    with pytest.raises(InvalidSpecError, match=f"'svm'; there is: {', '.join(SCORERS)}$"):
        Spec("n", "b", "f", scorer="svm")
    with pytest.raises(InvalidSpecError, match=f"'pixels'; there is: .*{', '.join(IMAGE_LEVEL)}$"):
        Spec("n", "b", "f", "prototype", "pixels")
    with pytest.raises(InvalidSpecError, match=r"'kl' has no descriptor 'gate'; .*: regional$"):
        Spec("n", "b", "f", "kl", "gate")
    with pytest.raises(InvalidSpecError, match=r"no mask 'oval'; there is: none, fixed, request$"):
        unchecked(Spec("n", "b", "f"), mask="oval")


def unchecked(value: Spec | Options, **fields: object) -> None:
    """Check fields as outside of tests, where nobody checks the types of arguments first."""
    for name, held in fields.items():
        object.__setattr__(value, name, held)
    value.__post_init__()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"normalise": "l3"}, "normalise is 'l3'; there is: none, l2, zscore"),
        ({"covariance": "half"}, "covariance is 'half'; there is: full, diagonal"),
        ({"memory": -1}, "memory must be 0 to 20000 rows, got -1"),
        ({"memory": 20_001}, "memory must be 0 to 20000 rows, got 20001"),
        ({"evidence": 1_001}, "evidence must be 0 to 1000, got 1001"),
    ],
)
def test_options_that_do_not_exist_are_refused(options: dict[str, Any], match: str) -> None:
    """Contract: the message says what is allowed."""
    with pytest.raises(InvalidSpecError, match=match):
        unchecked(Options(), **options)


@pytest.mark.parametrize("size", [-1, 0, 63, 1025, 10**9])
def test_image_sizes_out_of_bounds_are_refused(size: int) -> None:
    """Contract: the bounds are named, and are themselves allowed."""
    with pytest.raises(InvalidSpecError, match=f"64 to 1024 px, got {size}"):
        Spec("n", "b", "f", image_size=size)
    assert [Spec("n", "b", "f", image_size=s).image_size for s in (64, 1024)] == [64, 1024]


@pytest.mark.parametrize(
    "name", ["", "a" * 64, "a/b", "../a", ".a", "-a", "a b", "a\n", "\u00e4", "a\0", "a%2f"]
)
def test_names_that_could_leave_their_directory_are_refused(name: str) -> None:
    """Contract: a name is a part of a path and of a URL, and nothing more."""
    with pytest.raises(InvalidSpecError, match="does not match"):
        Spec(name, "b", "f")


@pytest.mark.parametrize("name", ["a", "7", "Bolts.2_a-b", "a" * 63, "a..b"])
def test_plain_names_are_allowed(name: str) -> None:
    """Contract: letters, digits, dots, underscores and hyphens."""
    assert Spec(name, "b", "f").name == name
