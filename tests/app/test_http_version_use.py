"""Versions over HTTP: compared, deleted, given another line, and whole whatever happens."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import problem, strict, upload
from stub_backbone import StubBackbone
from version_helpers import ADDRESS, PROBES, delete, draw, forget, promote, scores, serving

from app.errors import StorageUnavailableError


@pytest.fixture
def bolts(tmp_path: Path) -> Iterator[Line]:
    """A service without detectors."""
    with line(tmp_path) as running:
        yield running


def compared(bolts: Line, first: int, second: int, contents: list[bytes]) -> Any:
    """Compare two versions on pictures."""
    return upload(bolts.client, NAME, "compare", contents, first=first, second=second)


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many images the backbone is given at a time, from here on."""
    embedded: list[int] = []
    embed = StubBackbone.embed

    def counted(self: StubBackbone, images: Any) -> Any:
        embedded.append(len(images))
        return embed(self, images)

    monkeypatch.setattr(StubBackbone, "embed", counted)
    return embedded


def test_two_versions_are_compared_as_if_each_scored_alone(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reference: scoring by each; every image is embedded once; nothing is kept."""
    bolts.fit(20)
    assert bolts.verb("fit", range(50, 60), mode="replace").status_code == 200
    (mild,) = bolts.score([picture(99, 25)], version=4)
    assert draw(bolts, mild["score"], base=4, promote="never").status_code == 200
    pictures = [picture(100 + i, odd) for i, odd in enumerate((0, 15, 20, 25, 30, 90) * 3)]
    alone = [bolts.score(pictures, version=version) for version in (3, 5)]
    history, versions = bolts.get("/history"), bolts.get("/versions")
    embedded = counting(monkeypatch)
    told = strict(compared(bolts, 3, 5, [*pictures[:7], b"none", *pictures[7:]]))
    assert sum(embedded) == len(pictures)
    assert bolts.get("/history") == history
    assert bolts.get("/versions") == versions

    pairs = told["results"]
    assert {each["problem"]["status"] for each in pairs.pop(7)} == {422}
    for side, results in enumerate(alone):
        for key in ("score", "verdict", "threshold", "flagged"):
            assert [pair[side][key] for pair in pairs] == [each[key] for each in results]
    flags = [tuple(each["flagged"] for each in pair) for pair in pairs]
    assert (told["detector"], told["first"], told["second"]) == (NAME, 3, 5)
    assert told["images"] == len(pictures)
    assert told["agreed"] == sum(one == other for one, other in flags)
    assert told["only_first"] == flags.count((True, False))
    assert told["only_second"] == flags.count((False, True))
    assert told["only_first"] + told["only_second"] > 0


def test_what_cannot_be_compared_is_refused_before_an_image_is_read(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: unknown and unfitted versions, on either side; the backbone is not asked."""
    bolts.fit(20)
    embedded = counting(monkeypatch)
    for versions in ((1, 3), (3, 1)):
        problem(compared(bolts, *versions, PROBES), 409, "not-fitted")
    for versions in ((99, 3), (3, 99)):
        problem(compared(bolts, *versions, PROBES), 404, "unknown-version")
    assert embedded == []


def test_what_is_used_cannot_be_deleted(bolts: Line) -> None:
    """Contract: 409 names the use and what to do, and the version goes on judging."""
    bolts.fit(20)
    draw(bolts, 8.0, promote="never")
    draw(bolts, 9.0, promote="never", base=3)
    assert bolts.client.put(f"{ADDRESS}/shadow", json={"version": 5}).status_code == 200
    for version, use in ((3, "in service"), (5, "the shadow"), (4, "the tip"), (2, "version 3")):
        told = problem(delete(bolts, version), 409, "in-service")
        assert use in told["detail"]
        assert "first" in told["detail"]
    problem(delete(bolts, 99), 404, "unknown-version")
    assert len(bolts.get("/versions")["versions"]) == 5
    assert len(bolts.score(PROBES)) == len(PROBES)


def test_a_deleted_version_leaves_no_file_that_nobody_names(bolts: Line) -> None:
    """Law: exactly its own files go, the rows of its images among them; its parent is as it was."""
    bolts.fit(20)
    before, kept = scores(bolts, 3), set(bolts.service.storage.blobs.names("detectors"))
    bolts.verb("fit", range(100, 170), mode="extend", promote="never")
    made = set(bolts.service.storage.blobs.names("detectors")) - kept
    assert sum("/rows/" in name for name in made) == 2
    assert len(made) == 4
    draw(bolts, 5.0, base=4, allow_stale=True, promote="never")  # of the same fit
    shared = set(bolts.service.storage.blobs.names("detectors"))
    promote(bolts, 3)
    assert delete(bolts, 5).status_code == 204
    assert kept | made == set(bolts.service.storage.blobs.names("detectors")) < shared
    assert delete(bolts, 4).status_code == 204
    assert set(bolts.service.storage.blobs.names("detectors")) == kept
    assert scores(bolts, 3) == before
    problem(bolts.client.get(f"{ADDRESS}/versions/4/images"), 404, "unknown-version")
    assert strict(forget(bolts, range(3)))["forgotten"] == 3
    assert bolts.get("/versions")["versions"][-1]["version"] == 6  # no number is given twice


def test_a_threshold_reads_no_image_and_judges_the_next_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: it is drawn while no image could be looked at, reads the files of its base and its
    own, and no rows; what judges next is the new line."""
    with line(tmp_path) as bolts:
        bolts.fit(20)
    with line(tmp_path) as bolts:  # nothing is at hand
        read: list[str] = []
        get = bolts.service.storage.blobs.get

        def counted(name: str) -> bytes:
            read.append(name)
            return get(name)

        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("an image was looked at")

        monkeypatch.setattr(bolts.service.storage.blobs, "get", counted)
        with monkeypatch.context() as blind:
            blind.setattr("detector.imaging.decode", refuse)
            blind.setattr(StubBackbone, "prepare", refuse)
            blind.setattr(StubBackbone, "embed", refuse)
            body = {"method": "quantile", "target": 0.25}
            drawn = strict(bolts.client.put(f"{ADDRESS}/threshold", json=body))
            base, new = (
                bolts.service.storage.versions.entry(NAME, version).version.files
                for version in (3, 4)
            )
            assert sorted(read) == sorted([base.fit, base.decision, new.decision])
        for value in (drawn["value"], 0.5):
            if value != drawn["value"]:
                assert draw(bolts, value).status_code == 200
            results = bolts.score(PROBES)
            assert {each["threshold"] for each in results} == {value}
            assert [each["flagged"] for each in results] == [
                each["score"] > value for each in results
            ]


def test_a_shadow_that_is_put_in_service_is_no_shadow_any_more(bolts: Line) -> None:
    """Contract: promoted or rolled back to, it would only agree with itself."""
    bolts.fit(20)
    draw(bolts, 8.0, promote="never")
    for put in (lambda: promote(bolts, 4), lambda: bolts.client.post(f"{ADDRESS}/rollback")):
        other = next(version for version in (3, 4) if version != serving(bolts)[0])
        shadow = bolts.client.put(f"{ADDRESS}/shadow", json={"version": other})
        assert shadow.status_code == 200
        shown = strict(put())
        assert (shown["in_service"], shown["shadow"]) == (other, None)


def test_a_version_whose_commit_was_not_heard_of_is_whole(
    bolts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a connection that is lost with the commit's answer takes no file from a version."""
    bolts.fit(20)
    database = bolts.service.storage.database
    write = database.write

    @contextmanager
    def unheard() -> Iterator[Any]:
        with write() as connection:
            yield connection
        raise StorageUnavailableError("the answer was lost")

    with monkeypatch.context() as lost:
        lost.setattr(database, "write", unheard)
        problem(draw(bolts, 4.0), 503, "storage-unavailable")
    with line(bolts.service.settings.data_dir) as restarted:
        assert serving(restarted) == (4, 4)
        assert {each["threshold"] for each in restarted.score(PROBES)} == {4.0}
