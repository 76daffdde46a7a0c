"""Samples that are no images through both clients: folders, JSON, pairs, places."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from client_helpers import Both, both, picture, written
from hypothesis import given
from hypothesis import strategies as st
from kinds_server import COMMAND, csv_of, known, points_of
from real_server import Server

import gatewatch
from gatewatch import Client, ScoreTable
from gatewatch.answers.scores import Axis, Places
from gatewatch.bodies import many
from gatewatch.calls import After, Call
from gatewatch.folders import OF_IMAGES, Looked, walk
from gatewatch.images import piece
from gatewatch.operations import learning, looking, scoring

NORMAL, HELD = 20, 24


@pytest.fixture(scope="module", autouse=True)
def _known() -> Iterator[None]:
    """Know the kinds of the server."""
    with known():
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of series: good, held, today; and of pairs; with files that are none."""
    root = tmp_path_factory.mktemp("series")
    clutter = {".DS_Store": b"x", "cover.jpg": picture(1), "notes.txt": b"x", "._a.csv": b"x"}
    good = {f"good/{n:02}.csv": csv_of(n) for n in range(NORMAL)}
    good |= {f"good/{name}": content for name, content in clutter.items()}
    held = {f"held/{n}.CSV": csv_of(100 + n) for n in range(HELD)}
    today = {f"today/in/{n}.csv": csv_of(200 + n, odd=n == 2) for n in range(4)}
    today |= {"today/broken.csv": b"left,right\nno,number\n", "today/a.png": picture(2)}
    pairs = {f"pairs/{n}.csv": csv_of(n) for n in range(NORMAL)}
    pairs |= {f"pairs/{n}.txt": b"2" for n in range(NORMAL)}
    odd = {"odd/a.csv": csv_of(300), "odd/a.txt": b"40", "odd/b.csv": csv_of(300)}
    return written(root, good | held | today | pairs | odd)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, place: Path) -> Iterator[str]:
    """A server with a detector of each kind, fitted to a folder; that of series calibrated."""
    directory = tmp_path_factory.mktemp("server") / "data"
    with Server(directory, {}, COMMAND).serving() as server:
        url = f"http://127.0.0.1:{server.port}"
        with Client(url) as client:
            client.create("press", kind="series", view={"every": 2})
            client.create("pairs", kind="scaled")
            client.create("points", kind="points")
            client.create("bolts", image_size=64, scorer="prototype")
            assert client.fit("press", place / "good").wait().fitted == NORMAL
            client.calibrate("press", place / "held", threshold=0.1).wait()
            assert client.fit("pairs", place / "pairs").wait().fitted == NORMAL
            values = [{"rows": points_of(n)} for n in range(NORMAL)]
            assert client.fit("points", values).wait().fitted == NORMAL
            client.fit("bolts", [picture(seed) for seed in range(NORMAL)]).wait()
        yield url


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, url: str) -> Iterator[Both]:
    """Each of the two clients."""
    yield from both(request.param, url)


def test_a_detector_says_its_kind(client: Both) -> None:
    """Contract: kind and view, defaults filled in; an unknown kind or view is refused."""
    told = client.detector("press")
    assert (told.kind, told.view, told.scorer) == ("series", {"every": 2}, "gaussian")
    assert client.detector("bolts").kind == "image"
    kinds = client.info().kinds
    assert kinds["series"].suffixes == [".csv"]
    assert kinds["series"].view == {"every": 1}
    with pytest.raises(gatewatch.InvalidSpecError, match="no view"):
        client.create("x", kind="series", view={"each": 2})
    with pytest.raises(gatewatch.ProblemError):
        client.create("x", kind="smell")


def test_folders_are_taken_by_the_kinds_suffixes(client: Both, place: Path) -> None:
    """Contract: series alone of a folder of all sorts; those of images go on as ever."""
    scores = client.score_batch("press", place / "today")
    by_name = {each.name: each for each in scores.results}
    assert sorted(by_name) == ["broken.csv", *(f"in/{n}.csv" for n in range(4))]
    assert by_name["broken.csv"].problem.status == 422
    assert by_name["in/2.csv"].flagged
    assert [each.name for each in client.score_batch("bolts", place / "today").results] == ["a.png"]


def test_several_detectors_of_a_kind_take_its_folders(client: Both, place: Path) -> None:
    """Law: the same files, the same scores."""
    alone = client.score_batch("press", place / "today").results
    (told,) = client.score_many(["press"], place / "today").detectors
    assert [(each.name, each.score) for each in told.results] == [
        (each.name, each.score) for each in alone
    ]


def test_a_folder_is_scored_file_by_file(client: Both, place: Path, tmp_path: Path) -> None:
    """Law: the scores of the batch; a second run goes on where the first stopped."""
    results = tmp_path / "results.jsonl"
    found = client.score_folder("press", place / "today", results=results, places=True)
    batch = {each.name: each for each in client.score_batch("press", place / "today").results}
    assert [each.path for each in found] == list(batch)
    for each in found:
        is_broken = each.path == "broken.csv"
        assert (each.result.places is None) == (each.result.score is None) == is_broken
        if not is_broken:
            assert each.result.score == pytest.approx(batch[each.path].score, rel=1e-5)
    again = client.score_folder("press", place / "today", results=results, places=True)
    assert list(again) == list(found)
    assert len(ScoreTable(found).flagged) == 1
    with pytest.raises(gatewatch.UnknownDetectorError):
        client.score_folder("nobody", place / "today", results=tmp_path / "other")


def test_a_folder_without_samples_is_told(client: Both, place: Path, tmp_path: Path) -> None:
    """Contract: by what was looked for; nothing is begun."""
    empty = written(tmp_path / "empty", {"a.png": b"x", "b.txt": b"x"})
    with pytest.raises(ValueError, match=r"no sample below .*\.csv"):
        client.fit("press", empty)
    with pytest.raises(ValueError, match=r"no image below .*\.png"):
        client.score_batch("bolts", written(tmp_path / "x", {"a.csv": b"x"}))
    with pytest.raises(gatewatch.UnknownDetectorError):
        client.fit("nobody", place / "odd" / "a.csv")


def test_json_is_sent_as_json(client: Both) -> None:
    """Law: a dict, a list, their text and a file of it are one sample, with one score."""
    rows = points_of(400, odd=True)
    text = json.dumps({"rows": rows}, separators=(",", ":")).encode()
    alone = client.score("points", {"rows": rows}).score
    for same in (rows, text, ("a name", {"rows": rows})):
        assert client.score("points", same).score == pytest.approx(alone, rel=1e-5)
    batch = client.score_batch("points", [rows, ("b", {"rows": points_of(401)})]).results
    assert batch[0].score == pytest.approx(alone, rel=1e-5)
    assert [each.name for each in batch] == ["images-0", "b"]
    assert client.explain("points", {"rows": rows}).result.score == pytest.approx(alone, rel=1e-5)
    with pytest.raises(TypeError, match="put it into a list"):
        client.score_batch("points", {"rows": rows})
    with pytest.raises(ValueError, match="JSON"):
        client.score("points", {"rows": [[float("nan")]]})


def test_pairs_are_sent_together(client: Both, place: Path) -> None:
    """Law: as a dict, from a folder, file by file and as what the pair becomes: one score."""
    odd = place / "odd"
    alone = client.score("pairs", {"image": odd / "a.csv", "text": "40"})
    plain = client.score("pairs", odd / "b.csv")
    assert alone.name == "a.csv"
    assert alone.score > 2 * plain.score
    batch = client.score_batch("pairs", odd).results
    folder = client.score_folder("pairs", odd)
    assert [each.name for each in batch] == [each.path for each in folder] == ["a.csv", "b.csv"]
    for results in (batch, [each.result for each in folder]):
        assert [each.score for each in results] == pytest.approx(
            [alone.score, plain.score], rel=1e-5
        )
    both_ways = [{"image": csv_of(1), "text": "2"}, {"image": csv_of(2), "text": "2"}]
    assert all(each.score for each in client.score_batch("pairs", both_ways).results)
    with pytest.raises(TypeError, match="must be str"):
        client.score("pairs", {"image": odd / "a.csv", "text": 40})


def test_places_are_told_if_asked_for(client: Both, url: str) -> None:
    """Contract: as plain HTTP tells them; they sum to the score, as an array too."""
    content = csv_of(500, odd=True)
    assert client.score("press", content).places is None
    told = client.score("press", content, places=True)
    (one,) = told.places
    assert [axis.name for axis in one.axes] == ["row"]
    shares = one.to_numpy()
    assert shares.shape == (40,)
    assert shares.sum() == pytest.approx(told.score, rel=1e-4)
    headers = {"content-type": "application/octet-stream"}
    theirs = httpx.post(
        f"{url}/v1/detectors/press/score",
        content=content,
        headers=headers,
        params={"places": "true"},
    ).json()["results"][0]["places"]
    np.testing.assert_allclose(theirs[0]["shares"], one.shares, rtol=1e-4, atol=1e-6)
    (batch,) = client.score_batch("press", [content], places=True).results
    assert len(batch.places) == 1
    assert client.map("press", content).startswith(b"\x89PNG")


def test_places_of_several_axes_are_arrays() -> None:
    """Contract: row by row, the last axis fastest; names as good as numbers."""
    axes = [Axis(name="f", unit="Hz", values=[1.0, 2.0]), Axis(name="w", unit="", values=[*"abc"])]
    array = Places(name="n", axes=axes, shares=[0, 1, 2, 3, 4, 5]).to_numpy()
    assert array.dtype == np.float64
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_only_mixed_folders_make_a_request_ask(tmp_path: Path) -> None:
    """Contract: all else is one request, made without the server."""
    folder = written(tmp_path / "sounds", {"a.wav": b"x"})
    file = folder / "a.wav"
    pictures = written(tmp_path / "pictures", {"a.png": b"x", ".DS_Store": b"x"})
    for samples in ([file], file, [b"x"], pictures):
        assert isinstance(scoring.score_batch("n", samples), Call)
    asked = learning.fit("n", folder).call
    assert isinstance(asked, After)
    for one, route in ((["n"], "GET /v1/detectors/{name}"), (["n", "m"], "GET /v1/detectors")):
        first = looking.look_of(one)
        assert isinstance(first, After)
        assert isinstance(first.first, Call)
        assert first.first.route == route
    made = asked.then(Looked(frozenset({".wav"})))
    assert made.body is not None
    assert b'filename="a.wav"' in b"".join(made.body.pieces())
    with pytest.raises(ValueError, match="no image"):
        asked.then(OF_IMAGES)


def test_servers_that_know_no_kinds_still_take_folders_of_images() -> None:
    """Law: of images nothing of the answer is needed."""
    request = looking.look_of(["n"])
    assert isinstance(request, After)
    then = request.then("image")
    assert isinstance(then, Call)
    assert then.meaning(b"{}") == OF_IMAGES
    audio: Any = request.then("audio")
    with pytest.raises(gatewatch.UnexpectedAnswerError):
        audio.meaning(b"{}")


def test_a_text_that_two_files_want_is_nobodys(client: Both, tmp_path: Path) -> None:
    """Law: in a batch and file by file; each fails or is scored alone, as what it is."""
    twins = {"a.csv": csv_of(1), "a.CSV": csv_of(1), "a.txt": b"40", "b.csv": csv_of(1)}
    twins |= {"b.TXT": b"40"}
    folder = written(tmp_path / "twins", twins)
    batch = client.score_batch("pairs", folder).results
    alone = client.score_folder("pairs", folder)
    assert [each.name for each in batch] == [each.path for each in alone]
    assert {each.name for each in batch} == {"a.csv", "a.CSV", "b.csv"}
    for results in (batch, [each.result for each in alone]):
        found = {each.name: each.score for each in results}
        assert found["b.csv"] > 2 * found["a.csv"]
        assert found["a.csv"] == pytest.approx(found["a.CSV"], rel=1e-5)


def test_walk_takes_what_it_is_told(place: Path) -> None:
    """Contract: suffixes in any case, no clutter."""
    assert len(dict(walk(place / "held", frozenset({".csv"})))) == HELD
    assert [name for name, _ in walk(place / "good")] == ["cover.jpg"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), VALUES) | st.lists(VALUES))
def test_whatever_is_json_arrives_as_it_is(value: Any) -> None:
    """Law: what is sent reads as what was given."""
    made = piece(value)
    content = b"".join(made.pieces())
    assert json.loads(content) == value
    assert made.size == len(content)


@given(st.text(), st.binary())
def test_a_pair_is_a_file_and_its_text(text: str, content: bytes) -> None:
    """Law: both arrive unchanged, the size is told right; surrogates are no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    body = many([("a", {"image": content, "text": text})])
    sent = b"".join(body.pieces())
    assert body.size == len(sent)
    _, file, said, _ = sent.split(b"--" + body.media_type.partition("boundary=")[2].encode())
    assert file.partition(b"\r\n\r\n")[2] == content + b"\r\n"
    assert said.partition(b"\r\n\r\n")[2] == text.encode() + b"\r\n"
    assert b'name="texts"' in said
