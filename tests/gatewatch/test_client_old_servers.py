"""What servers of old do not tell, which newer clients do without."""

import dataclasses
import json
from typing import Any

from gatewatch.answers.service import Info
from gatewatch.calls import Call
from gatewatch.operations import service

LISTS = ("scorers", "descriptors", "blocks", "regional_blocks", "media_types")


def info_of(told: dict[str, Any]) -> Info:
    """Return what the client makes of an answer."""
    call: Call[Info] = service.info()
    return call.meaning(json.dumps(told).encode())


def test_servers_that_know_no_kinds_say_what_runs_there() -> None:
    """Law: all that they tell is read, and that they tell of no kinds; nor of pairs, once."""
    told: dict[str, Any] = dict.fromkeys((each.name for each in dataclasses.fields(Info)), "x")
    told |= {name: [] for name in LISTS} | {"limits": {"max_image_side": 1}}
    del told["kinds"]
    assert info_of(told).kinds == {}
    assert info_of(told).limits == {"max_image_side": 1}
    kind = {"sample": "clip", "media_types": [], "suffixes": [], "limits": {}, "view": {}}
    told["kinds"] = {"audio": kind | {"missing": ""}}
    assert not info_of(told).kinds["audio"].pairs
