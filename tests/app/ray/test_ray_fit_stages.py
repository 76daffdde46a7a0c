"""Law: the stages of a fit on Ray, run in this process, make the part that the service makes."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from http_helpers import Pixels, encode
from hypothesis import given
from hypothesis import strategies as st
from stub_backbone import StubBackbone

from app.bulk import looking
from app.bulk.errors import BulkError, PartsMismatchError, UnreadableSourceError
from app.bulk.fragments import Fragment, Item, Shard
from app.bulk.part import Part, Seen
from app.bulk.part_file import read_part
from app.bulk.plan import HoldOut
from app.bulk.reading import items
from app.bulk.sources import How
from app.bulk.work import Work
from app.errors import StorageUnavailableError
from app.ray import fit, fit_cluster
from app.ray.fit_chunks import Chunk, Key, Task
from app.ray.fit_cluster import Actors, Cluster, without_secrets
from app.ray.fit_counting import Counted
from app.ray.fit_stages import Embed, Prepare, embedded
from app.ray.fit_stopping import Stop
from app.scoring.ingest import Ingest
from app.settings import Settings
from app.telemetry import Telemetry
from detector.detector import Detector
from detector.embedder import Embedder, Preparer
from detector.embedding import Embedding
from detector.errors import DeviceLostError, DeviceMemoryError, FingerprintMismatchError
from detector.options import Options
from detector.spec import Spec

HOLD = HoldOut(share=0.3, most=4, seed=1)
CHUNK = 4


class Faulty(StubBackbone):
    """Fails on black pictures, and when it is told to."""

    failure: Exception | None = None

    def embed(self, images: Sequence[Pixels]) -> Embedding:
        """Return the embedding, if there is one."""
        if self.failure and len(images) > 1:
            raise self.failure
        if not min(image.max() for image in images):
            raise RuntimeError("nothing to see")
        return super().embed(images)


def _detector(**chosen: Any) -> Detector:
    stub, options = StubBackbone(), Options(**chosen)
    return Detector(Spec("bolts", stub.name, stub.fingerprint, image_size=64, options=options))


@pytest.fixture
def folder(tmp_path: Path, pngs: list[bytes]) -> Fragment:
    """Eighteen images: one is cut short, one is black, and one is not there."""
    contents = [*pngs[:16], pngs[16][:99], encode(np.zeros((64, 64, 3), np.uint8))]
    for number, content in enumerate(contents):
        (tmp_path / f"{number:02d}.png").write_bytes(content)
    names = (*(f"{number:02d}.png" for number in range(len(contents))), "gone.png")
    return Fragment("files", str(tmp_path), names)


@pytest.fixture
def embed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Detector], Embed]:
    """What makes an actor that embeds on the stub, which fails on black pictures."""
    monkeypatch.setattr("app.ray.backbones.Embedder.load", lambda *_, **__: Faulty())
    return lambda detector: Embed(detector, HOLD, Settings(max_batch=3))


def _prepare(read: Any = items, detector: Detector | None = None) -> Prepare:
    preparer = cast(Preparer, StubBackbone())
    return Prepare(read, detector or _detector(), preparer, Settings(), Path.cwd())


def _rows(chunks: Sequence[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    return {name: [each for row in chunks for each in row[name]] for name in ("chunk", "pixels")}


async def _part_of_the_service(detector: Detector, fragment: Fragment) -> Part:
    ingest = Ingest(Settings(), cast(Embedder, Faulty()), Telemetry())
    ingest.start()
    try:
        return await looking.part_of(ingest, detector, HOLD, items(fragment))
    finally:
        await ingest.stop()


@pytest.mark.parametrize("options", [{}, {"flips": True}], ids=["plain", "flips"])
def test_the_stages_make_the_part_of_the_service(
    options: dict[str, Any], folder: Fragment, embed: Callable[[Detector], Embed]
) -> None:
    detector = _detector(**options)
    batch = {"task": [Task(7, folder, CHUNK).row["task"]]}
    made = embed(detector)(_rows(list(_prepare(detector=detector)(batch))))
    part, about = read_part(made["part"][0])
    keys = [(each["fragment"], each["chunk"], each["ends"]) for each in about["chunks"]]
    assert keys == [(7, 0, False), (7, 1, False), (7, 2, False), (7, 3, False), (7, 4, True)]
    whole = asyncio.run(_part_of_the_service(detector, folder))
    assert list(part.fitted) == list(whole.fitted)
    assert list(part.held.images) == list(whole.held.images)
    assert part.held.rows is not None
    assert whole.held.rows is not None
    assert len(part.held.rows) == len(part.held) > 0
    for name, rows in part.held.rows.blocks.items():
        np.testing.assert_array_equal(rows, whole.held.rows.blocks[name])
    assert [each.name for each in part.rejected] == [each.name for each in whole.rejected]
    assert [each.detail for each in part.rejected] == [each.detail for each in whole.rejected]
    assert len(part.rejected) == 3
    ours, theirs = (one.unfitted.learn(one.statistics, extend=False) for one in (part, whole))
    assert ours.fitted_images == theirs.fitted_images == len(part.fitted)
    for name, statistic in part.statistics.items():
        if hasattr(statistic, "scatter"):
            other = cast(Any, whole.statistics[name])
            limit = 1e-10 * np.abs(other.scatter).max()
            np.testing.assert_allclose(statistic.scatter, other.scatter, rtol=1e-10, atol=limit)


def test_chunks_that_were_counted_are_not_made_again(folder: Fragment) -> None:
    every = list(_prepare().chunks(Task(0, folder, CHUNK)))
    rest = list(_prepare().chunks(Task(0, folder, CHUNK, (0, 2, 4))))
    assert [each.key["chunk"] for each in rest] == [1, 3]
    assert [each.row for each in rest] == [every[1].row, every[3].row]


def test_a_fragment_of_whole_chunks_ends_with_none(folder: Fragment) -> None:
    whole = Fragment("files", folder.place, folder.names[: 2 * CHUNK])
    lengths = [len(each.images) for each in _prepare().chunks(Task(0, whole, CHUNK))]
    assert lengths == [CHUNK, CHUNK, 0]


def test_a_place_that_is_not_there_is_no_fault_of_its_images() -> None:
    nowhere = Fragment("files", "/nowhere/at/all", ("a.png",))
    with pytest.raises(UnreadableSourceError, match="/nowhere/at/all is not on every machine"):
        list(_prepare().chunks(Task(0, nowhere, CHUNK)))


def test_objects_are_asked_for_together(pngs: list[bytes]) -> None:
    together = threading.Barrier(CHUNK, timeout=60)

    def read(_fragment: Fragment) -> Iterator[Item]:
        for number in range(CHUNK):
            yield Item(f"{number}.png", "", lambda: (together.wait(), pngs[0])[1])

    first, _ = _prepare(read).chunks(Task(0, Fragment("objects", "s3://b/a"), CHUNK))
    assert [image.name for image in first.images] == [f"{number}.png" for number in range(CHUNK)]


def test_a_store_that_fails_is_no_fault_of_its_images() -> None:
    def fail() -> bytes:
        raise StorageUnavailableError("the bucket does not answer")

    with pytest.raises(StorageUnavailableError):
        list(_prepare(lambda _: [Item("a", "", fail)]).chunks(Task(0, Fragment("files", ""), 1)))


def test_another_backbone_is_refused(embed: Callable[[Detector], Embed]) -> None:
    other = Detector(Spec("bolts", "se-lite0", "6" * 64, image_size=64))
    with pytest.raises(FingerprintMismatchError, match="another backbone"):
        embed(other)({"chunk": [Chunk(_key(0, 0, True), []).row["chunk"][0]], "pixels": [b""]})


def test_passes_that_do_not_fit_are_halved() -> None:
    backbone, pictures = Faulty(), [np.full((3, 64, 64), n, np.uint8) for n in range(5)]
    backbone.failure = DeviceMemoryError("out of memory")
    found = embedded(cast(Embedder, backbone), pictures)
    assert [isinstance(each, Embedding) for each in found] == [False, True, True, True, True]
    alone = StubBackbone().embed([pictures[3]])
    np.testing.assert_array_equal(cast(Embedding, found[3]).mean["late"], alone.mean["late"])
    backbone.failure = DeviceLostError("lost")
    with pytest.raises(DeviceLostError):
        embedded(cast(Embedder, backbone), pictures)


def _key(fragment: int, chunk: int, ends: bool) -> Key:
    return {"fragment": fragment, "chunk": chunk, "ends": ends}


@given(st.data())
def test_every_chunk_is_counted_once_in_any_order(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    keys = [_key(n, c, c == size - 1) for n, size in enumerate(sizes) for c in range(size)]
    order = data.draw(st.permutations(keys))
    cut = data.draw(st.integers(0, len(keys)))
    fragments = [Fragment("tar", f"{number}.tar") for number in range(len(sizes))]
    counted = Counted(CHUNK)
    assert all(counted.add([key]) for key in order[:cut])
    counted = Counted.of(json.loads(json.dumps(counted.noted)))
    assert not any(counted.add([key]) for key in order[:cut])
    left = {task.number: task.done for task in counted.left(fragments)}
    for number, size in enumerate(sizes):
        done = sorted(key["chunk"] for key in order[:cut] if key["fragment"] == number)
        assert left.get(number, "whole") == (done if len(done) < size else "whole")
    if 0 < cut < len(keys):
        with pytest.raises(PartsMismatchError):
            counted.add([order[0], order[-1]])
    assert all(counted.add([key]) for key in order[cut:])
    assert counted.left(fragments) == []


def test_a_task_is_the_same_after_its_row() -> None:
    task = Task(3, Fragment("objects", "s3://b/a", ("é.png", "b.png"), "state"), CHUNK, (1,))
    assert Task.parse(task.row["task"]) == task


def test_actors_get_no_secrets() -> None:
    settings = Settings(database="postgresql://u:p@h/d", webhook_secret="whsec_1")  # type: ignore[arg-type]
    sent = without_secrets(settings)
    assert (sent.database, sent.webhook_secret) == (None, None)
    assert sent.data_dir.is_absolute()
    assert sent.weights is None
    relative = Settings(weights="gates.safetensors")  # type: ignore[arg-type]
    assert without_secrets(relative).weights == Path.cwd() / "gates.safetensors"


def test_a_fragment_that_never_came_is_no_end(tmp_path: Path) -> None:
    """Contract: whatever Ray says, a part is whole when all of it was counted."""
    fragments = [Fragment("tar", f"{number}.tar") for number in range(2)]
    work = Work(fragments, Shard(), How(), tmp_path / "bolts.part")
    kept = fit._Kept(work, Part.of(_detector(), HOLD, ()))
    assert kept.add(Part.of(_detector(), HOLD, ()), {"chunks": [_key(0, 0, True)]})
    with pytest.raises(BulkError, match="without 1 of 2 fragments"):
        kept.finished()
    assert not work.kept.exists()
    again = fit._Kept(work, Part.of(_detector(), HOLD, ()))
    assert [task.number for task in again.left] == [1]
    assert again.add(Part.of(_detector(), HOLD, ()), {"chunks": [_key(1, 0, True)]})
    again.finished()
    assert [each.name for each in tmp_path.iterdir()] == ["bolts.part"]


@pytest.mark.parametrize(
    ("cluster", "cpus", "gpus", "actors"),
    [
        (Cluster(), 16, 0, Actors(13, 3, 0)),
        (Cluster(), 16, 2, Actors(2, 14, 1)),
        (Cluster(workers=4), 16, 0, Actors(4, 12, 0)),
        (Cluster(workers=4, decoders=8), 2, 0, Actors(4, 8, 0)),
        (Cluster(), 1, 0, None),
        (Cluster(decoders=3), 3, 0, None),
    ],
    ids=["cores", "gpus", "workers", "given", "one", "full"],
)
def test_cores_are_shared(cluster: Cluster, cpus: int, gpus: int, actors: Actors | None) -> None:
    if actors:
        assert fit_cluster.shared(cluster, cpus, gpus) == actors
    else:
        with pytest.raises(BulkError, match="give --workers and --decoders"):
            fit_cluster.shared(cluster, cpus, gpus)


def test_what_an_actor_raised_is_told_and_what_ray_did_too() -> None:
    inner = StorageUnavailableError("the bucket does not answer")
    outer = RuntimeError("task")
    outer.__cause__ = inner
    assert fit.told(outer) is inner
    assert isinstance(fit.told(RuntimeError("node lost")), BulkError)


def test_a_signal_waits_for_what_is_counted() -> None:
    done = []

    def counting() -> None:
        stop = Stop()
        with stop.listening(), stop.later():
            signal.raise_signal(signal.SIGTERM)
            done.append(1)

    def waiting() -> None:
        with Stop().listening():
            signal.raise_signal(signal.SIGINT)
            time.sleep(60)

    for call in (counting, waiting):
        with pytest.raises(KeyboardInterrupt):
            call()
    assert done == [1]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_image_without_an_embedding_is_left_out(embed: Callable[[Detector], Embed]) -> None:
    actor = embed(_detector())
    (black,) = _prepare(
        lambda _: [Item("b", "lot", lambda: encode(np.zeros((64, 64, 3), np.uint8)))]
    ).chunks(Task(0, Fragment("tar", "."), CHUNK))
    (seen,) = actor.seen(black.images)
    assert isinstance(seen, Seen)
    assert seen.outcome.detail == "the backbone failed on this image"  # type: ignore[union-attr]
