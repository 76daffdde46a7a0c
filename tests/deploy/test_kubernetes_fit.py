"""The job of a fit at large: valid, confined as the servers are, and its command is one."""

import re
import shlex
from pathlib import Path
from typing import Any

import kubernetes_validate
import typer
import yaml

from app.bulk.fragments import Shard
from app.cli import cli
from app.commands.bulk import UNFINISHED

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
JOB: dict[str, Any] = yaml.safe_load((FOLDER / "fit" / "job.yaml").read_text(encoding="utf-8"))
POD = JOB["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def test_the_job_follows_the_schema_of_kubernetes() -> None:
    """Reference: the published schemas, strictly."""
    kubernetes_validate.validate(JOB, "1.37", strict=True)


def test_pods_are_confined_as_servers_are() -> None:
    """Contract: the same user, no privilege, a root that cannot be written."""
    server = yaml.safe_load((FOLDER / "deployment.yaml").read_text(encoding="utf-8"))
    theirs = server["spec"]["template"]["spec"]
    for each in ("securityContext", "automountServiceAccountToken"):
        assert POD[each] == theirs[each]
    assert CONTAINER["securityContext"] == theirs["containers"][0]["securityContext"]


def test_what_can_go_on_is_begun_again_and_what_cannot_ends_its_index() -> None:
    """Contract: exit codes are told apart as the command means them."""
    evicted, failed = JOB["spec"]["podFailurePolicy"]["rules"]
    assert (evicted["action"], failed["action"]) == ("Ignore", "FailIndex")
    codes = failed["onExitCodes"]
    assert (codes["containerName"], codes["operator"]) == (CONTAINER["name"], "In")
    assert codes["values"] == [1, 2]
    assert UNFINISHED not in codes["values"]
    assert JOB["spec"]["backoffLimitPerIndex"] > 1


def test_every_index_is_a_shard() -> None:
    """Contract: each of them once, none else, and every option is one of the command."""
    completions = JOB["spec"]["completions"]
    assert {"name": "SHARDS", "value": str(completions)} in CONTAINER["env"]
    shards = set()
    (line,) = CONTAINER["args"]
    (fit,) = (each for each in typer.main.get_command(cli).commands.values() if each.name == "fit")  # type: ignore[attr-defined]
    known = {option for each in fit.params for option in each.opts}
    for index in range(completions):
        filled = line.replace("$((JOB_COMPLETION_INDEX + 1))", str(index + 1))
        filled = filled.replace("$SHARDS", str(completions))
        words = shlex.split(filled.replace("$JOB_COMPLETION_INDEX", str(index)))
        assert words[:3] == ["exec", "gatewatch", "fit"]
        assert {word for word in words if re.match("--", word)} <= known
        shards.add(words[words.index("--shard") + 1])
        assert words[words.index("--out") + 1] == f"/parts/{index}.part"
    assert shards == {str(Shard(number, completions)) for number in range(1, completions + 1)}
