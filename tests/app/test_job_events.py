"""The events of a job: what a watcher is told, early or late, and until when."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from job_helpers import Life, streamed
from key_helpers import BY
from storage_helpers import Place

from app.jobs import events
from app.storage.jobs import Jobs


def test_events_tell_of_a_job_until_its_end(here: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: each is the whole job under a rising id; the last one says that it has ended."""
    here.backbone.most = 8
    identity = here.begun("fit", range(20))
    found: list[dict[str, Any]] = []
    told, tell = threading.Event(), events._event
    monkeypatch.setattr(events, "_event", lambda job: (tell(job), told.set())[0])
    watcher = threading.Thread(target=lambda: found.extend(streamed(here, identity)))
    watcher.start()
    here.done(identity, 8)
    assert told.wait(60)
    here.backbone.let_go()
    watcher.join(60)
    assert [each["event"] for each in found] == ["progress"] * (len(found) - 1) + ["end"]
    assert len(found) > 1
    numbers = [int(each["id"]) for each in found]
    assert numbers == sorted(set(numbers))
    assert {each["data"]["id"] for each in found} == {identity}
    assert found[-1]["data"] == here.job(identity)
    assert found[-1]["data"]["state"] == "succeeded"


@pytest.mark.parametrize(
    "last", [None, "", "1", "99999", "-1", "x", "\u00b2", "9" * 5000, "1e9", "\u0661"]
)
def test_who_comes_back_late_is_told_the_end(here: Life, last: str | None) -> None:
    """Contract: whatever was seen last, be it an id that never was; also the end itself."""
    identity = here.begun("fit", range(5))
    job = here.ended(identity)
    for seen in (last, str(here.storage.jobs.get(identity).sequence)):
        (only,) = streamed(here, identity, seen)
        assert (only["event"], only["data"]) == ("end", job)


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize(("last", "is_told"), [("2", False), ("1", True), ("7", True), ("", True)])
def test_what_was_seen_is_not_sent_again(tmp_path: Path, last: str, is_told: bool) -> None:
    """Contract: of a job that goes on, the event of that id is left out; what follows is not."""

    async def watch(jobs: Jobs) -> None:
        identity = jobs.submit("fit", "b" * 32, "bolts", {}, BY)[0].id
        assert jobs.claim("one", 60) is not None
        told = events.events(jobs, identity, last)
        first = asyncio.create_task(anext(told))
        if is_told:
            assert ((await first).event, first.result().id) == ("progress", "2")
            first = asyncio.create_task(anext(told))
        await asyncio.sleep(0.1)
        assert not first.done()
        jobs.renew(identity, "one", 60, done=1, total=2)
        assert ((await first).event, first.result().id) == ("progress", "3")
        jobs.finish(identity, "one", "cancelled")
        assert [event.event async for event in told] == ["end"]

    with Place(tmp_path).opened() as storage:
        asyncio.run(watch(storage.jobs))
