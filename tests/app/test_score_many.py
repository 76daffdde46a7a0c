"""Images scored by many detectors at once: as by each alone, at the cost of few passes."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from history_helpers import Line, line, picture
from http_helpers import calibrated, create, problem, put, send, strict, upload
from key_helpers import recorded
from starlette.testclient import TestClient

from app.scoring import verdicts
from app.storage.audit import By
from detector.detector import Detector
from detector.errors import DegenerateDataError

PICTURES = [picture(seed, odd) for seed, odd in ((1, 0), (2, 90), (3, 25), (4, 0))]
NORMAL = [picture(seed) for seed in range(60)]
BROKEN = b"no image"
HUNDRED_AND_ONE = ",".join(f"d{i}" for i in range(101))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Detectors that look alike but judge otherwise, one of another size, some that cannot."""
    with line(tmp_path_factory.mktemp("many"), max_request_images=6, queue_images=6) as line_:
        client = line_.client
        calibrated(client, "fusion", NORMAL, scorer="fusion")
        calibrated(client, "prototype", NORMAL)
        calibrated(client, "large", NORMAL, image_size=128)
        create(client, "bare")
        create(client, "fitted")
        learn(client, "fitted", "fit", NORMAL[:30])
        calibrated(client, "stale", NORMAL)
        learn(client, "stale", "fit", NORMAL[:6], mode="extend", promote="always")
        create(client, "masked", mask="request")
        yield line_


def learn(client: TestClient, name: str, verb: str, contents: list[bytes], **query: Any) -> None:
    """Fit or calibrate: a job, which takes more images than a request."""
    assert upload(client, name, verb, contents, **query).status_code == 200


def many(
    client: TestClient, names: list[str] | str, contents: list[bytes] | None = None, **query: Any
) -> Any:
    """Send a form of pictures to many detectors; return the response."""
    files: list[Any] = [
        ("images", (f"{i}.png", content, "image/png"))
        for i, content in enumerate(PICTURES[:3] if contents is None else contents)
    ]
    return client.post("/v1/score", files=files, params={"detectors": names, **query})


def told(answer: Any) -> list[dict[str, Any]]:
    """Return what each detector says, without ids and timings, which are of the request."""
    assert answer.status_code == 200, answer.text
    body = strict(answer)
    for each in body.get("detectors", [body]):
        for result in each.get("results", []):
            assert bool(result.pop("id")) == bool(result.pop("timings_ms"))
    return list(body.get("detectors", [body]))


@pytest.mark.parametrize("query", [{}, {"false_discovery_rate": 0.1}, {"group": "lot 7"}])
def test_many_say_what_each_says_alone(parts: Line, query: dict[str, Any]) -> None:
    """Law: exactly the single route's answers, in the order of the names, a bad image included."""
    names = ["large", "prototype", "fusion"]
    contents = [PICTURES[1], BROKEN, PICTURES[2]]
    alone = [told(upload(parts.client, name, "score", contents, **query))[0] for name in names]
    assert told(many(parts.client, names, contents, **query)) == alone
    assert told(many(parts.client, ",".join(names), contents, **query)) == alone
    verdicts = [result["verdict"] for each in alone for result in each["results"]]
    assert set(verdicts) >= {"invalid", "anomalous"}
    assert [each["detector"] for each in alone] == names


def test_a_batch_says_what_its_images_say_alone(parts: Line) -> None:
    """Law: one form of several pictures = several raw bodies = the single route's."""
    names = ["fusion", "large"]
    together = told(many(parts.client, names))
    for index, content in enumerate(PICTURES[:3]):
        raw = parts.client.post(
            "/v1/score",
            content=content,
            headers={"content-type": "image/bmp"},
            params={"detectors": names},
        )
        assert "forward;dur=" in raw.headers["server-timing"]
        for one, each in zip(told(raw), together, strict=True):
            assert [one] == told(send(parts.client, one["detector"], content, "image/bmp"))
            (single,), among = one["results"], each["results"][index]
            assert single["verdict"] == among["verdict"]
            assert single["score"] == pytest.approx(among["score"], rel=1e-12)  # its last bit


def copies(parts: Line, name: str, count: int) -> list[str]:
    """Store copies of a detector under other names; return the names."""
    known = parts.service.catalogue.get(name).detector
    names = [f"{name}-{number}" for number in range(count)]
    for each in set(names) - {entry.name for entry in parts.service.catalogue.all()}:
        copy = known.having(spec=replace(known.spec, name=each))
        parts.service.storage.versions.create(copy, By("tester", "", ""))
    return names


def stages(parts: Line) -> dict[str, float]:
    """Return how many images each stage was timed for, and the seconds that judging took."""
    sample = parts.service.telemetry.registry.get_sample_value
    name, labels = "gatewatch_stage_duration_seconds", ("decode", "forward", "score", "total")
    counted = {stage: sample(f"{name}_count", {"stage": stage}) or 0.0 for stage in labels}
    return counted | {"seconds": sample(f"{name}_sum", {"stage": "score"}) or 0.0}


def test_an_image_is_timed_once_for_each_look(parts: Line) -> None:
    """Contract: two pictures for two sizes are four, whatever judges them; a bad one is none."""
    before = stages(parts)
    answer = many(parts.client, ["fusion", "prototype", "large"], [*PICTURES[:2], BROKEN])
    detectors = answer.json()["detectors"]
    judged_ms = [
        result["timings_ms"]["judge"]
        for each in detectors
        for result in each["results"]
        if result["timings_ms"]
    ]
    found = {name: value - before[name] for name, value in stages(parts).items()}
    assert len(judged_ms) == 6
    assert found.pop("seconds") == pytest.approx(1e-3 * sum(judged_ms))
    assert set(found.values()) == {4}


def test_who_fails_halfway_times_nothing(parts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: as it counts no image; the others' stay."""
    real, calls = Detector.judge, itertools.count()

    def judge(self: Detector, *images: Any) -> Any:
        if self.spec.name == "prototype" and next(calls) == 1:
            raise DegenerateDataError("of no use")
        return real(self, *images)

    monkeypatch.setattr(verdicts, "FOLD_IMAGES", 1)
    monkeypatch.setattr(Detector, "judge", judge)
    before = stages(parts)
    answers = told(many(parts.client, ["prototype", "large"], PICTURES[:2]))
    assert ["problem" in each for each in answers] == [True, False]
    found = stages(parts)
    assert found["total"] - before["total"] == 2  # of the other size alone


def test_a_look_is_one_pass(parts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: a hundred detectors of one size decode and embed each image once, of two sizes twice."""
    names = copies(parts, "prototype", 100)
    prepared = recorded(monkeypatch, parts.service.embedder, "prepare")
    passed = recorded(monkeypatch, parts.service.embedder, "embed")
    answers = told(many(parts.client, ",".join(names)))
    (alone,) = told(upload(parts.client, "prototype", "score", PICTURES[:3]))
    assert [each["results"] for each in answers] == [alone["results"]] * 100
    assert len(prepared) == 3 + 3
    assert sum(len(images) for (images,) in passed) == 3 + 3
    prepared.clear()
    passed.clear()
    told(many(parts.client, [*names[:99], "large"]))
    assert [side for _, side, _ in prepared] == [64] * 3 + [128] * 3
    assert (
        sorted(image.shape[1] for (images,) in passed for image in images) == [64] * 3 + [128] * 3
    )


def test_who_cannot_score_spoils_nothing(parts: Line) -> None:
    """Contract: a problem in its place, as the single route answers it; the others score."""
    kinds = {
        "nobody": (404, "unknown-detector"),
        "bare": (409, "not-fitted"),
        "stale": (409, "stale-calibration"),
        "masked": (409, "not-fitted"),
    }
    answers = told(many(parts.client, ["fusion", *kinds, "large"]))
    assert answers[0] == told(upload(parts.client, "fusion", "score", PICTURES[:3]))[0]
    assert answers[-1] == told(upload(parts.client, "large", "score", PICTURES[:3]))[0]
    for (name, (status, kind)), each in zip(kinds.items(), answers[1:-1], strict=True):
        single = problem(upload(parts.client, name, "score", PICTURES[:3]), status, kind)
        single.pop("request_id")
        assert each == {"detector": name, "problem": single}
    allowed = told(many(parts.client, ["stale", "bare"], allow_stale=True))
    assert "results" in allowed[0]
    assert "problem" in allowed[1]


def test_if_none_can_score_nothing_is_looked_at(
    parts: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: problems only, still 200, and no pass."""
    passed = recorded(monkeypatch, parts.service.embedder, "embed")
    answers = told(many(parts.client, "nobody,bare"))
    assert [each["problem"]["status"] for each in answers] == [404, 409]
    assert not passed


def test_together_takes_a_calibration(parts: Line) -> None:
    """Contract: without p-values a detector refuses a rate in its place, before any pass."""
    one, other = told(many(parts.client, "fitted,fusion", false_discovery_rate=0.1))
    assert one["problem"]["type"] == "urn:gatewatch:problem:not-calibrated"
    assert all(result["discovery"] is not None for result in other["results"])
    (free,) = told(many(parts.client, "fitted"))
    assert {result["verdict"] for result in free["results"]} == {"uncalibrated"}


@pytest.mark.parametrize(
    "names",
    [
        None,
        "",
        ",",
        "fusion,",
        "fusion,fusion",
        ["fusion", "fusion"],
        "a/b",
        HUNDRED_AND_ONE,
    ],
)
def test_names_that_are_none(parts: Line, names: Any) -> None:
    """Contract: none, twice the same, no name, or more than a hundred: 422."""
    params = {} if names is None else {"detectors": names}
    files = [("images", ("a.bmp", PICTURES[0], "image/bmp"))]
    answer = parts.client.post("/v1/score", files=files, params=params)
    assert "detectors" in problem(answer, 422, "invalid-request")["detail"]


def test_a_raw_image_that_is_none(parts: Line) -> None:
    """Contract: the error that the single route answers."""
    headers = {"content-type": "image/png"}
    params = {"detectors": "fusion,nobody,large"}
    answer = parts.client.post("/v1/score", content=BROKEN, headers=headers, params=params)
    problem(answer, 422, "undecodable-image")
    problem(send(parts.client, "fusion", BROKEN), 422, "undecodable-image")


def test_images_count_once_for_every_look(parts: Line) -> None:
    """Contract: four images in two sizes are eight, of six at most; in one size they are four."""
    told(many(parts.client, ["fusion", "prototype"], PICTURES))
    detail = problem(many(parts.client, ["fusion", "large"], PICTURES), 413, "too-many-images")
    assert "count as 8; at most 6" in detail["detail"]


def test_a_mask_that_nobody_could_use(parts: Line) -> None:
    """Contract: it is the request that is wrong; a good one is wrong for those without."""
    for mask, status in (("[[[0,0]]]", 422), ("[[[0,0],[1,0],[1,1]]]", 200)):
        files = [("images", ("a.bmp", PICTURES[0], "image/bmp")), ("mask", (None, mask))]
        answer = parts.client.post("/v1/score", files=files, params={"detectors": "fusion"})
        assert answer.status_code == status, answer.text
        if status == 200:
            (only,) = told(answer)
            assert only["problem"]["type"] == "urn:gatewatch:problem:mask-mismatch"
        else:
            problem(answer, 422, "invalid-mask")


def test_each_is_kept_counted_and_shadowed(parts: Line) -> None:
    """Contract: history, metrics and shadow of each detector, as if it had scored alone."""
    client, names = parts.client, ["fusion", "large"]
    put(client, "large", method="manual", value=1e-9)
    version = strict(client.get("/v1/detectors/large"))["version"]
    back = client.post("/v1/detectors/large/rollback")
    assert back.status_code == 200, back.text
    shadow = client.put("/v1/detectors/large/shadow", json={"version": version})
    assert shadow.status_code == 200, shadow.text

    def counted() -> list[float]:
        registry = parts.service.telemetry.registry
        series = "gatewatch_images_scored_total"
        samples = [s for family in registry.collect() for s in family.samples if s.name == series]
        return [sum(s.value for s in samples if s.labels["model"] == name) for name in names]

    before = counted()
    body = strict(many(client, names))
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [3, 3]
    parts.call(parts.service.history.flush)
    for each in body["detectors"]:
        for result in each["results"]:
            kept = strict(client.get(f"/v1/images/{result['id']}"))["image"]
            assert (kept["detector"], kept["score"]) == (each["detector"], result["score"])
    shadowed = strict(client.get("/v1/detectors/large/shadow"))
    assert shadowed["images"] == 3
    assert shadowed["only_shadow"] == sum(not r["flagged"] for r in body["detectors"][1]["results"])


def test_overload_refuses_all(parts: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: 503 with Retry-After for the whole request, and nothing is counted or kept."""
    kept = recorded(monkeypatch, parts.service.history, "note")
    queue = parts.service.ingest.batcher._queue
    monkeypatch.setattr(type(queue), "room", 2)
    problem(many(parts.client, ["fusion", "large"]), 503, "overloaded")
    assert not kept
