"""Contract: the service on Ray Serve is the service: same answers, same errors, same metrics.

One real cluster for all tests of this file: a pool of devices, and two applications on it, each
with a backbone, a state and limits of its own.
"""

import copy
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_helpers import create, followed, running, strict, upload
from ports import free_port
from prometheus_client import parser
from ray_cluster import Cluster, ray_cluster
from ray_targets import kind_of, prometheus, targets
from serve_cluster_helpers import (
    LONGEST_S,
    OTHER,
    QUEUE,
    ROOT,
    configuration,
    learn,
    post,
    under_load,
    until,
)

from detector.embedder import Embedder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return configuration(tmp_path_factory.mktemp("ray-data"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Cluster]:
    with ray_cluster(tmp_path_factory.mktemp("ray"), free_port()) as running_cluster:
        running_cluster.deploy(config)
        yield running_cluster


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=cluster.url, timeout=LONGEST_S) as made:
        yield made


@pytest.fixture(scope="module")
def scored(client: httpx.Client, pngs: list[bytes]) -> dict[str, Any]:
    return learn(client, "screws", pngs)


def test_answers_are_those_of_a_plain_server(
    client: httpx.Client,
    scored: dict[str, Any],
    pngs: list[bytes],
    embedder: Embedder,
    tmp_path: Path,
) -> None:
    """Reference: the same images, learned and scored by one process; to what float32 rounds.

    Networks round otherwise in batches of other sizes: by 1.1e-6 of a score, once.
    """
    with running(tmp_path, embedder) as plain:
        wanted = learn(plain, "screws", pngs)
        info = plain.get("/v1/info").json()
    for ours, theirs in zip(scored["results"], wanted["results"], strict=True):
        for figure in ("score", "threshold", "p_value"):
            assert ours[figure] == pytest.approx(theirs[figure], rel=1e-5), figure
        assert ours["verdict"] == theirs["verdict"]
    told = client.get("/v1/info").json()
    same = ("backbone", "backbone_fingerprint", "blocks", "regional_blocks", "engine", "device")
    assert {key: told[key] for key in same} == {key: info[key] for key in same}


def test_errors_are_problems(client: httpx.Client, scored: dict[str, Any]) -> None:
    missing = client.get("/v1/detectors/nobody")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"
    assert strict(missing)["type"] == "urn:gatewatch:problem:unknown-detector"
    assert missing.headers["x-request-id"] == strict(missing)["request_id"]  # said once
    named = client.get("/v1/detectors/nobody", headers={"x-request-id": "mine"})
    assert named.headers["x-request-id"] == "mine"
    broken = post(client, b"no image")
    assert (broken.status_code, strict(broken)["status"]) == (422, 422)
    large = client.post("/v1/detectors", content=b" " * 5_000_000)
    assert (large.status_code, strict(large)["status"]) == (413, 413)


def test_too_much_is_refused_by_the_service_itself(
    cluster: Cluster, client: httpx.Client, pngs: list[bytes]
) -> None:
    """Contract: 503 with a problem and the time to come again, not a line of Serve's."""
    below = httpx.Client(base_url=f"{cluster.url}{OTHER}", timeout=LONGEST_S)
    with below:
        create(below, "screws")
        assert upload(below, "screws", "fit", pngs[:4]).status_code == 200
    with under_load(cluster.url, pngs[4], 48, OTHER) as load:
        until(lambda: load.statuses[503] > 5 and load.statuses[200] > 5, "refusals", LONGEST_S)
    assert set(load.statuses) == {200, 503}, load.statuses
    for answer in load.refused:
        assert strict(answer)["type"] == "urn:gatewatch:problem:overloaded"
        assert int(answer.headers["retry-after"]) >= 1


def test_applications_stand_below_a_prefix_with_a_backbone_of_their_own(
    client: httpx.Client, cluster: Cluster
) -> None:
    """Contract: another precision is another backbone; one pool holds both."""
    first, other = (client.get(f"{at}/v1/info").json() for at in ("", OTHER))
    assert first["backbone_fingerprint"] != other["backbone_fingerprint"]
    assert other["limits"]["queue_images"] == QUEUE
    described = client.get(f"{OTHER}/openapi.json").json()
    assert described["servers"] == [{"url": OTHER}]
    led = client.get(OTHER, follow_redirects=True)
    assert led.url.path == f"{OTHER}/console/"
    assert led.status_code == 200
    assert client.get(f"{OTHER}/livez").json() == {"status": "ok", "reasons": []}
    v2 = client.get(f"{OTHER}/v2/models/nobody").json()
    assert v2["error"] == v2["detail"]


def test_a_job_is_followed(client: httpx.Client, scored: dict[str, Any], pngs: list[bytes]) -> None:
    """Contract: events come as they happen, and a stream that ends early is asked for again."""
    files = [("images", (f"{i}.png", png, "image/png")) for i, png in enumerate(pngs[:8])]
    begun = client.post("/v1/detectors/screws/fit", params={"mode": "extend"}, files=files)
    assert begun.status_code == 202, begun.text
    said: list[str] = []
    end_s = time.monotonic() + LONGEST_S
    while not any('"succeeded"' in line for line in said):
        assert time.monotonic() < end_s, said
        with client.stream("GET", f"{begun.headers['location']}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            said += list(stream.iter_lines())
    assert followed(client, begun).status_code == 200


def test_a_pod_with_a_replica_is_ready(cluster: Cluster) -> None:
    """Contract: what the probe of deploy/ray asks of Serve's proxy, which answers it itself."""
    for path, code in (("/-/healthz", 0), ("/nowhere", 1)):
        command = [sys.executable, "-I", str(ROOT / "deploy/healthcheck.py"), cluster.url + path]
        assert subprocess.run(command, capture_output=True, timeout=LONGEST_S).returncode == code


def test_every_replica_is_scraped(
    client: httpx.Client, scored: dict[str, Any], tmp_path: Path
) -> None:
    """Contract: the series of a single server, from each replica, found by real Prometheus."""
    kinds = {kind_of(each["labels"]) for each in targets(client)}
    assert {("devices", "Device"), ("gatewatch", "Ingress"), ("other", "Ingress")} == kinds
    series: dict[str, dict[str, float]] = {}
    for each in targets(client):
        text = httpx.get(f"http://{each['targets'][0]}/metrics").text
        for family in parser.text_string_to_metric_families(text):
            for sample in family.samples:
                place = series.setdefault(sample.name, Counter())
                place[each["labels"]["application"]] += sample.value
    assert series["gatewatch_images_scored_total"]["gatewatch"] >= 4
    # Calls of all ingress replicas meet on the device: its passes are counted there as well.
    assert series["gatewatch_batch_images_sum"]["devices"] >= 44
    assert series["gatewatch_build_info"]["devices"] >= 1
    with prometheus(tmp_path, str(client.base_url.join("/targets"))) as url:

        def is_up() -> bool:
            answer = httpx.get(f"{url}/api/v1/query", params={"query": "up == 1"}).json()
            return kinds <= {kind_of(each["metric"]) for each in answer["data"]["result"]}

        until(is_up, "every replica")


def test_a_device_that_dies_costs_nobody_more_than_another_try(
    cluster: Cluster, client: httpx.Client, scored: dict[str, Any], pngs: list[bytes]
) -> None:
    """Contract: 200 or 503 for everybody, the same score before and after."""
    wanted = post(client, pngs[41]).json()["results"][0]["score"]
    with under_load(cluster.url, pngs[41], 2) as load:
        until(lambda: load.statuses[200] > 5, "scores", LONGEST_S)
        for replica in cluster.replicas("devices", "Device"):
            cluster.kill(replica)
        before = load.statuses[200]
        until(lambda: load.statuses[200] > before + 20, "scores again", 2 * LONGEST_S)
    assert set(load.statuses) <= {200, 503}, load.statuses
    assert load.scores == pytest.approx([wanted] * len(load.scores), rel=1e-5)
    for answer in load.refused:
        assert int(answer.headers["retry-after"]) >= 1


def test_images_that_wait_bring_another_device(
    cluster: Cluster, client: httpx.Client, scored: dict[str, Any], pngs: list[bytes]
) -> None:
    with under_load(cluster.url, pngs[41], 12) as load:
        until(lambda: len(cluster.replicas("devices", "Device")) == 2, "another", 2 * LONGEST_S)

        def are_both_at_work() -> bool:
            found = targets(client)
            devices = [each for each in found if each["labels"]["deployment"] == "Device"]
            try:
                texts = [httpx.get(f"http://{each['targets'][0]}/metrics").text for each in devices]
            except httpx.TransportError:  # one that has died is listed a while longer
                return False
            return sum("gatewatch_batch_images_sum 0.0" not in text for text in texts) == 2

        until(are_both_at_work, "both to embed", 2 * LONGEST_S)
    assert set(load.statuses) <= {200, 503}, load.statuses


def test_a_new_version_of_the_application_fails_no_request(
    cluster: Cluster,
    client: httpx.Client,
    config: dict[str, Any],
    scored: dict[str, Any],
    pngs: list[bytes],
) -> None:
    """Contract: what is under way is answered, what comes meanwhile goes to the new replica."""
    changed = copy.deepcopy(config)
    _, first, _ = changed["applications"]
    first["runtime_env"]["env_vars"]["GATEWATCH_MAX_JOB_IMAGES"] = "1234"
    old = cluster.replicas("gatewatch", "Ingress")
    with under_load(cluster.url, pngs[41], 2) as load:
        until(lambda: load.statuses[200] > 5, "scores", LONGEST_S)
        cluster.deploy(changed)
        until(
            lambda: not set(old) & set(cluster.replicas("gatewatch", "Ingress")),
            "the old one to go",
            LONGEST_S,
        )
        before = load.statuses[200]
        until(lambda: load.statuses[200] > before + 5, "scores of the new one", LONGEST_S)
    assert client.get("/v1/info").json()["limits"]["max_job_images"] == 1234
    assert set(load.statuses) == {200}, load.statuses
