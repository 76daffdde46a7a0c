"""Notices as files: whole, sorted by time, the same when they come again."""

import asyncio
import contextlib
import json
import os
import threading
from pathlib import Path

import pytest
from notice_helpers import Watched, send_until, sender, states
from storage_helpers import Place

from app.clock import now
from app.errors import NotDeliveredError
from app.notices import sender as sending
from app.notices.content import trial
from app.notices.folder import Folder
from app.telemetry import Telemetry


def test_a_notice_is_a_file(tmp_path: Path, telemetry: Telemetry) -> None:
    """Contract: in a folder that is made; names sort as the notices were made, twice is once."""
    folder = tmp_path / "a" / "b"
    with Place(tmp_path / "data").opened() as storage:
        bolts = Watched(storage, sinks=["folder"])
        for images in ((7,), (7, 9), (9,), ()):
            bolts.stand(*images)
        one = sender(storage, {"folder": Folder(folder)}, telemetry)
        send_until([one], lambda: states(storage) == [{"folder": "delivered"}] * 4)
        contents = [each.content for each in reversed(one.outbox.latest(9))]
    files = sorted(folder.iterdir())
    assert [json.loads(file.read_text()) for file in files] == contents
    assert [file.name[-37:] for file in files] == [f"{each['id']}.json" for each in contents]
    assert files[0].name.startswith("20260501T120007.000000Z-")
    asyncio.run(Folder(folder).deliver(contents[0]))
    assert sorted(folder.iterdir()) == files


def test_a_full_disk_is_a_failure_and_leaves_no_half(tmp_path: Path) -> None:
    """Contract: the device that is always full stands for the disk; then it is mended."""
    content = trial("a" * 32, now())
    folder = Folder(tmp_path)
    asyncio.run(folder.deliver(content))
    (file,) = tmp_path.iterdir()
    file.unlink()
    partial = tmp_path / f".{file.name}.partial"
    partial.symlink_to("/dev/full")
    with pytest.raises(NotDeliveredError, match="No space left on device"):
        asyncio.run(folder.deliver(content))
    assert os.listdir(tmp_path) == [partial.name]
    partial.unlink()
    asyncio.run(folder.deliver(content))
    assert os.listdir(tmp_path) == [file.name]


def test_a_disk_that_hangs_has_one_thread(tmp_path: Path) -> None:
    """Contract: the next attempts are refused until it comes back; no other thread is taken."""
    hangs, before = threading.Event(), set(threading.enumerate())
    folder = Folder(tmp_path)

    async def attempts() -> None:
        async def late() -> None:
            async with asyncio.timeout(0.05):
                await folder._thread.run(lambda: hangs.wait(60) and None)

        with pytest.raises(TimeoutError):
            await late()
        for _ in range(3):
            with pytest.raises(NotDeliveredError, match="hangs"):
                await folder.deliver(trial("a" * 32, now()))
        assert len(set(threading.enumerate()) - before) == 1
        hangs.set()
        while os.listdir(tmp_path) == []:
            with contextlib.suppress(NotDeliveredError):
                await folder.deliver(trial("a" * 32, now()))

    asyncio.run(attempts())
    assert len(os.listdir(tmp_path)) == 1


def test_what_is_no_folder_is_tried_again(
    tmp_path: Path, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: what could not be written is, once it can."""
    monkeypatch.setattr(sending, "LOOK_S", 0.02)
    monkeypatch.setattr(sending, "FIRST_S", 0.05)
    folder = tmp_path / "notices"
    folder.write_text("in the way")
    with Place(tmp_path / "data").opened() as storage:
        Watched(storage, sinks=["folder"]).stand(7)
        one = sender(storage, {"folder": Folder(folder)}, telemetry)

        def way() -> str:
            delivery = one.outbox.latest(1)[0].deliveries[0]
            if delivery.attempts >= 2 and folder.is_file():
                folder.unlink()
            return delivery.state

        send_until([one], lambda: way() == "delivered")
    assert len(list(folder.glob("*.json"))) == 1
    sample = telemetry.registry.get_sample_value
    assert (sample("gatewatch_notices_total", {"sink": "folder", "result": "retried"}) or 0) >= 1
