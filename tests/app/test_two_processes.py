"""Two real services on one PostgreSQL and one bucket: one state, and every job is done once."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from bucket_server import BUCKET
from history_helpers import picture
from http_helpers import create
from postgres_server import Postgres
from real_server import Server
from sqlalchemy import select

from app.storage.audit import Audit
from app.storage.database import Database, open_database
from app.storage.jobs import Job, Jobs
from app.storage.tables import VERSIONS
from app.storage.version_reader import FRESH_S

pytestmark = pytest.mark.slow
LONGEST_S = 240


@dataclass(frozen=True)
class Pair:
    """Two processes, and the database that they share."""

    servers: tuple[Server, Server]
    database: Database

    def submit(self, client: httpx.Client, name: str, seeds: range) -> str:
        """Ask for a fit; return the job's id."""
        files = [("images", (f"{seed}.bmp", picture(seed))) for seed in seeds]
        answer = client.post(f"/v1/detectors/{name}/fit", files=files)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def jobs(self, identities: list[str]) -> list[Job]:
        """Return jobs as the database has them."""
        return [Jobs(self.database).get(identity) for identity in identities]

    def ended(self, identities: list[str]) -> list[Job]:
        """Return jobs once all have ended."""
        deadline = time.monotonic() + LONGEST_S
        while not all(job.ended for job in self.jobs(identities)):
            assert time.monotonic() < deadline, self.jobs(identities)
            time.sleep(0.05)
        return self.jobs(identities)

    def require_done_once(self, identities: list[str], images: int) -> None:
        """Check that every job has made one version, in the order in which they were submitted."""
        jobs = self.ended(identities)
        assert [job.state for job in jobs] == ["succeeded"] * len(jobs), jobs
        with self.database.read() as connection:
            chosen = select(VERSIONS.c.detector_id, VERSIONS.c.version, VERSIONS.c.run)
            runs = connection.execute(chosen.where(VERSIONS.c.run.is_not(None))).all()
        made = {run: (detector, version) for detector, version, run in runs}
        assert len(made) == len(runs)  # no run made two
        assert set(identities) <= set(made)
        told = Counter(
            (line.subject, line.after["version"])
            for line in Audit(self.database).lines(limit=1000)
            if line.action == "version.replace"
        )
        last: dict[str, int] = {}
        for job in jobs:
            assert job.result is not None
            assert (job.result["fitted"], job.result["rejected"]) == (images, [])
            shown = job.result["detector"]
            assert (job.detector_id, shown["version"]) == made[job.id]
            assert shown["fitted_images"] == images
            assert told[job.detector, shown["version"]] == 1
            assert shown["version"] == last.get(job.detector, shown["version"] - 1) + 1
            last[job.detector] = shown["version"]
        assert sum(told.values()) == len(made)  # nothing else was made


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: Postgres,
    bucket_environment: dict[str, str],
) -> Iterator[Pair]:
    """Two processes that share nothing on the disk."""
    folder = tmp_path_factory.mktemp("pair")
    with postgres.database() as url:
        settings = {
            "GATEWATCH_DATABASE": url,
            "GATEWATCH_BUCKET": f"s3://{BUCKET}/{folder.name}",
            **bucket_environment,
        }
        servers = (place(folder, "a", settings), place(folder, "b", settings))
        database = open_database(url, folder)
        try:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(Server.start, servers))
            yield Pair(servers, database)
        finally:
            database.close()
            for server in servers:
                if server.process.poll() is None:
                    server.end(signal.SIGKILL)


def place(folder: Path, name: str, settings: dict[str, str]) -> Server:
    """Return a server with a directory of its own."""
    (folder / name).mkdir()
    return Server(folder / name / "data", settings)


def judged(server: Server, name: str) -> tuple[int, float | None]:
    """Score a picture; return the version that judged it, and its threshold."""
    headers = {"content-type": "image/bmp"}
    address = f"/v1/detectors/{name}/score"
    answer = server.client.post(address, content=picture(10**6), headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["version"], answer.json()["results"][0]["threshold"]


def test_what_one_promotes_the_other_serves_half_a_second_later(pair: Pair) -> None:
    """Contract: fits, lines, promotions and roll backs through either judge in both."""
    one, other = pair.servers
    create(one.client, "shared")
    pair.ended([pair.submit(one.client, "shared", range(8))])
    for server in pair.servers:
        assert judged(server, "shared") == (2, None)
    for value, server in enumerate((one, other), start=1):
        body = {"method": "manual", "value": float(value)}
        answer = server.client.put("/v1/detectors/shared/threshold", json=body)
        assert answer.status_code == 200, answer.text
        assert judged(server, "shared") == (2 + value, float(value))
        time.sleep(FRESH_S)
        for each in (other, one):
            assert judged(each, "shared") == (2 + value, float(value))
    for turn in range(6):
        writer, reader = pair.servers[turn % 2], pair.servers[1 - turn % 2]
        version = 3 + turn % 2
        answer = writer.client.post(f"/v1/detectors/shared/versions/{version}/promote")
        assert answer.status_code == 200, answer.text
        assert judged(writer, "shared") == (version, version - 2.0)
        time.sleep(FRESH_S)
        assert judged(reader, "shared") == (version, version - 2.0)
        assert judged(writer, "shared") == (version, version - 2.0)
    assert one.client.post("/v1/detectors/shared/rollback").json()["in_service"] == 3
    time.sleep(FRESH_S)
    assert judged(other, "shared") == (3, 1.0)


def test_a_dozen_jobs_are_each_run_once(pair: Pair) -> None:
    """Law: whoever took them, by both processes' own counts, the versions and the audit."""
    names = ("bolts", "nuts", "washers")
    for name in names:
        create(pair.servers[1].client, name)
    before = sum(fits(server) for server in pair.servers)
    identities = [
        pair.submit(pair.servers[turn % 2].client, names[turn % 3], range(turn, turn + 8))
        for turn in range(12)
    ]
    pair.require_done_once(identities, 8)
    assert {job.attempts for job in pair.jobs(identities)} == {1}
    deadline = time.monotonic() + LONGEST_S
    while (counted := sum(fits(server) for server in pair.servers) - before) < 12:
        assert time.monotonic() < deadline  # a count follows the end that it counts
        time.sleep(0.05)
    assert counted == 12
    for name in names:
        shown: list[Any] = [s.client.get(f"/v1/detectors/{name}").json() for s in pair.servers]
        assert shown[0] == shown[1]
        assert shown[0]["in_service"] == 5


def fits(server: Server) -> int:
    """Return how many fits a process has ended."""
    sample = server.metrics().get("gatewatch_jobs_total")
    return 0 if sample is None else int(sample.value)


def test_the_jobs_of_a_killed_process_are_finished_by_the_other(pair: Pair) -> None:
    """Law: each makes its version once, those under way and those in line; nothing is lost."""
    one, other = pair.servers
    names = ("springs", "gears")
    for name in names:
        create(one.client, name)
    other.process.send_signal(signal.SIGSTOP)  # so that it is the first that works on them
    try:
        identities = [
            pair.submit(one.client, names[turn % 2], range(200 * turn, 200 * turn + 130))
            for turn in range(4)
        ]
        while not any(job.state == "running" for job in pair.jobs(identities)):
            time.sleep(0.01)
        assert one.end(signal.SIGKILL) == -signal.SIGKILL
        left = pair.jobs(identities)
    finally:
        other.process.send_signal(signal.SIGCONT)
    assert any(job.state == "running" for job in left)
    pair.require_done_once(identities, 130)
    for job, then in zip(pair.jobs(identities), left, strict=True):
        assert job.attempts > (then.state == "running")  # what was under way was begun again
    one.start()
    for name in names:
        assert judged(one, name) == judged(other, name) == (3, None)
