"""The error tree of the domain: documented leaf by leaf, and free of HTTP."""

import inspect
import re

import pytest

from detector import errors
from detector.errors import DetectorError, SampleError

LEAVES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind.__module__ == errors.__name__ and kind is not DetectorError
]


def test_the_documented_tree_is_the_tree() -> None:
    """Contract: the module's docstring draws every class, and no other."""
    drawn = re.findall(r"[├└]── (\w+) +\S", errors.__doc__ or "")

    assert sorted(drawn) == sorted(kind.__name__ for kind in LEAVES)
    assert len(LEAVES) == 23


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_every_leaf_hangs_on_the_root(kind: type[DetectorError]) -> None:
    """Contract: those of a sample under one name; a docstring; the message comes through."""
    of_a_sample = kind is not SampleError and issubclass(kind, SampleError)
    assert of_a_sample or kind.__bases__ == (DetectorError,)
    assert kind.__name__.endswith("Error")
    assert kind.__doc__
    assert kind.__doc__ != DetectorError.__doc__
    assert str(kind("say what to do")) == "say what to do"


def test_the_root_is_an_ordinary_exception() -> None:
    """Contract: no error of the domain is mistaken for one of Python's own."""
    assert DetectorError.__bases__ == (Exception,)
