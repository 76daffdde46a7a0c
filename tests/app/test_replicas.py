"""Three replicas under load, of which one is killed, one drained, and one added meanwhile."""

import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from bucket_server import BUCKET
from history_helpers import picture
from http_helpers import SIDE_PX
from postgres_server import Postgres
from replica_cluster import Cluster, cluster, until
from replica_load import (
    CHANGING,
    EXTENSION,
    EXTENSIONS,
    FITTED,
    IMAGES,
    PATIENCE_S,
    SCORERS,
    STEADY,
    Done,
    Load,
    batch,
)

from gatewatch import Client
from gatewatch.answers import DriftInfo, KeyInfo, VersionInfo

pytestmark = pytest.mark.slow
LATE, TWIN = "late", "twin"
LATE_IMAGES = 160
CLOSE = 1e-5
"""A replica with one lane embeds up to four of what waits at once, and fits so, too: float32 rows,
and distances that are small beside them, differ with the company (9e-7 of a score was seen)."""
Reference = dict[tuple[str, int], list[float]]
"""The scores of IMAGES, by detector and the number of images that it was fitted to."""


@dataclass(frozen=True)
class Run:
    """What was known before, what clients saw, and what is kept after it."""

    before: Reference
    done: Done
    versions: dict[tuple[str, int], VersionInfo]
    audited: Counter[str]
    keys: list[KeyInfo]
    late: list[float]
    takers: list[str]
    drift: DriftInfo
    scored: dict[str, int]
    """Images of STEADY that each replica has scored, by its log."""
    victim: str
    written: int
    """Images that it had scored before it was last asked about drift."""
    codes: dict[str, int]


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: Postgres,
    bucket_environment: dict[str, str],
) -> Iterator[Run]:
    """Let it all happen, once."""
    folder = tmp_path_factory.mktemp("replicas")
    with postgres.database() as url:
        settings = {
            "GATEWATCH_DATABASE": url,
            "GATEWATCH_BUCKET": f"s3://{BUCKET}/{folder.name}",
            "GATEWATCH_THREADS": "1",
            **bucket_environment,
        }
        with cluster(folder, settings) as replicas:
            yield happen(replicas)


def happen(replicas: Cluster) -> Run:
    """Start three on an empty database, load them, kill, add and drain; return what came of it."""
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(replicas.add, "abc"))
    made = replicas.replicas["a"].client.post("/v1/keys", json={"name": "boss", "role": "admin"})
    assert made.status_code == 201, made.text
    key = made.json()["key"]
    replicas.requests_reach(3)
    with Client(replicas.url, key) as client:
        before = prepared(client)
        line = sorted(before[CHANGING, FITTED])[len(IMAGES) // 2]
        with Load(replicas.url, key, line) as load:
            until(lambda: len(load.done.scored) > 60 or load.done.broken, "nothing is scored")
            job = client.fit(LATE, [picture(5000 + seed) for seed in range(LATE_IMAGES)])
            victim = replicas.works_on(job.id)
            until(lambda: job.refresh().images_done > 0, "the job does not go on")
            written = scored(replicas, victim)
            asked(replicas, victim, key)
            codes = {victim: replicas.replicas[victim].end(signal.SIGKILL)}
            assert job.refresh().state in ("queued", "running")  # given back, or not noticed yet
            replicas.add("d")
            drained = next(letter for letter in "abc" if letter != victim)
            replicas.replicas[drained].process.send_signal(signal.SIGTERM)
            codes[drained] = replicas.replicas[drained].process.wait(PATIENCE_S)
            job.wait(PATIENCE_S)
            enough = len(load.done.scored) + 60
            until(lambda: len(load.done.scored) > enough or load.done.broken, "it does not go on")
        for letter in replicas.replicas.keys() - codes.keys():
            asked(replicas, letter, key)
        return Run(
            before,
            load.done,
            {
                (name, each.version): each
                for name in (CHANGING, STEADY)
                for each in client.versions(name)
            },
            Counter(line.reason for line in client.audit()),
            client.keys(),
            scores(client, LATE, None),
            [letter for letter in replicas.replicas if takes(replicas, letter, job.id)],
            client.drift(STEADY),
            {letter: scored(replicas, letter) for letter in replicas.replicas},
            victim,
            written,
            codes,
        )


def prepared(client: Client) -> Reference:
    """Make the detectors; return what they, and all extensions to come, say of the images."""
    for name in (CHANGING, STEADY, LATE, TWIN):
        client.create(name, image_size=SIDE_PX, scorer="prototype")
    before: Reference = {}
    client.fit(TWIN, [picture(5000 + seed) for seed in range(LATE_IMAGES)]).wait(PATIENCE_S)
    before[LATE, LATE_IMAGES] = scores(client, TWIN, None)
    for number in range(EXTENSIONS + 1):
        how = client.extend if number else client.fit
        version = how(TWIN, batch(number)).wait(PATIENCE_S).detector.version
        before[CHANGING, FITTED + EXTENSION * number] = scores(client, TWIN, version)
    before[STEADY, FITTED] = before[CHANGING, FITTED]
    client.fit(CHANGING, batch(0)).wait(PATIENCE_S)
    client.fit(STEADY, batch(0)).wait(PATIENCE_S)
    calibration = [picture(7000 + seed) for seed in range(60)]
    client.calibrate(STEADY, calibration, threshold=0.05).wait(PATIENCE_S)
    return before


def scores(client: Client, name: str, version: int | None) -> list[float]:
    """Return the scores of all images."""
    results = client.score_batch(name, IMAGES, version=version).results
    return [each.score for each in results if each.score is not None]


def asked(replicas: Cluster, letter: str, key: str) -> None:
    """Ask a replica about drift, which first writes down what it has scored."""
    headers = {"authorization": f"Bearer {key}"}
    answer = replicas.replicas[letter].client.get(f"/v1/detectors/{STEADY}/drift", headers=headers)
    assert answer.status_code == 200, answer.text


def takes(replicas: Cluster, letter: str, job: str) -> bool:
    """Return whether a replica has worked on a job."""
    return f"job {job} is worked on here" in replicas.replicas[letter].log.read_text()


def scored(replicas: Cluster, letter: str) -> int:
    """Return how many images of STEADY a replica says to have scored."""
    path = f"/v1/detectors/{STEADY}/score"
    return sum(line["path"] == path and line["status"] == 200 for line in replicas.lines(letter))


def test_no_answer_is_wrong(run: Run) -> None:
    """Law: a score is its version's, whoever gave it; the verdict is by that version's line."""
    assert not run.done.broken
    for answer in run.done.scored:
        version = run.versions[answer.detector, answer.version]
        known = run.before[answer.detector, version.fitted_images][answer.image]
        assert answer.result.score == pytest.approx(known, rel=CLOSE)
        assert answer.result.threshold == version.threshold
        assert version.threshold is None or answer.result.flagged is (
            answer.result.score > version.threshold
        )
    seen = {answer.version for answer in run.done.scored if answer.detector == CHANGING}
    assert len(seen) > 3, seen
    flags = {answer.result.flagged for answer in run.done.scored if answer.detector == CHANGING}
    assert {True, False} <= flags


def test_no_acknowledged_change_is_lost(run: Run) -> None:
    """Law: what was acknowledged is there, once; what is in doubt is there once, or not."""
    done = run.done
    # Of an extension both the job and its version are told.
    expected = {why: 2 if why.startswith("extend") else 1 for why in done.acknowledged}
    assert {why: run.audited[why] for why in done.acknowledged} == expected
    assert {run.audited[why] for why in done.in_doubt} <= {0, 1}
    kinds = Counter(why.split()[0] for why in done.acknowledged)
    assert kinds.keys() == {"make", "revoke", "line", "promote", "rollback", "extend", "serve"}
    for version, value in done.thresholds.items():
        assert run.versions[CHANGING, version].threshold == value
    states = {key.name: key.state for key in run.keys}
    for name, possible in done.keys.items():
        assert states[name] in possible


def test_what_clients_see_of_it_can_be_repeated(run: Run) -> None:
    """Contract: resets, and 503 that says when to come again; patience is all that it takes."""
    assert set(run.done.probes) <= {(200, False), (503, True), (0, False)}
    assert (200, False) in run.done.probes
    assert set(run.done.statuses) <= {200, 503}
    assert run.codes[run.victim] == -signal.SIGKILL
    assert set(run.codes.values()) == {-signal.SIGKILL, -signal.SIGTERM}  # in good order


def test_a_job_of_the_killed_replica_is_ended_by_another(run: Run) -> None:
    """Law: with the result that it has where nobody dies."""
    assert run.victim in run.takers
    assert len(run.takers) > 1  # the one that was drained may have had it meanwhile, too
    assert run.late == pytest.approx(run.before[LATE, LATE_IMAGES], rel=CLOSE)


def test_drift_counts_what_was_scored(run: Run) -> None:
    """Law: each image once, whoever scored it and whoever counts it.

    All are counted but those that the killed replica scored after it had last written, of which it
    may have written some: it had done so when it was asked, a moment before.
    """
    told = sum(answer.detector == STEADY for answer in run.done.scored)
    others = sum(count for letter, count in run.scored.items() if letter != run.victim)
    assert told <= others + run.scored[run.victim] + SCORERS
    assert run.written > 0
    assert run.drift.baseline is not None
    assert run.drift.images_dropped == 0
    # It may have noted an image whose answer it had not logged yet.
    most = run.scored[run.victim] + SCORERS
    assert run.written <= run.drift.images - others <= most
