"""What was used last stays; what is missing is made once, however many ask."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.storage.cache import Cache


def test_the_longest_unused_goes_first() -> None:
    """Contract: using a value keeps it."""
    cache: Cache[int] = Cache(2)
    cache.keep("a", 1)
    cache.keep("b", 2)
    assert cache.get("a") == 1
    cache.keep("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)


def test_a_value_is_made_once_for_all_who_ask() -> None:
    """Contract: others wait for the one that makes it, and for no other value."""
    cache: Cache[object] = Cache(4)
    made, begun, go = [], threading.Event(), threading.Event()

    def make() -> object:
        made.append(object())
        begun.set()
        assert go.wait(60)
        return made[-1]

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(cache.made, "a", make)
        assert begun.wait(60)
        others = [pool.submit(cache.made, "a", make) for _ in range(6)]
        assert cache.made("b", lambda: "b") == "b"
        go.set()
        found = {id(each.result(60)) for each in (first, *others)}
    assert len(made) == 1
    assert found == {id(made[0])}


def test_a_failure_is_nobody_elses() -> None:
    """Contract: the next who asks tries again."""
    cache: Cache[int] = Cache(4)

    def fails() -> int:
        raise OSError("the bucket is away")

    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            cache.made("a", fails)
    assert cache.made("a", lambda: 1) == 1
    assert cache.made("a", fails) == 1
