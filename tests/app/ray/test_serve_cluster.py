"""Contract: the service on Ray Serve is the service: same answers, same errors, same metrics.

One real cluster for all tests of this file: a pool of devices, and two applications on it, each
with a backbone, a state and limits of its own. The configuration is ``deploy/ray/serve.yaml``.
"""

import copy
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from http_helpers import create, followed, running, strict, upload
from ports import free_port
from prometheus_client import parser
from ray_cluster import Cluster, ray_cluster

from detector.embedder import Embedder

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
OTHER = "/other"
QUEUE = 4
LONGEST_S = 120


def configuration(folder: Path) -> dict[str, Any]:
    """The committed one, smaller and in a hurry, with a second application."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "deploy/ray/serve.yaml").read_text())
    del config["http_options"]
    pool, first = config["applications"]
    settings = {"GATEWATCH_DEVICE": "cpu", "GATEWATCH_ENGINE": "torch", "GATEWATCH_THREADS": "1"}
    pool["runtime_env"] = {"env_vars": settings}
    device, _ = pool["deployments"]
    device["autoscaling_config"] |= {
        "max_replicas": 2,
        "target_ongoing_requests": 2,
        "metrics_interval_s": 1,
        "look_back_period_s": 2,
        "upscale_delay_s": 1,
    }
    first["runtime_env"] = {
        "env_vars": {"GATEWATCH_DATA_DIR": str(folder / "first"), "GATEWATCH_OPEN": "true"}
    }
    (ingress,) = first["deployments"]
    ingress["autoscaling_config"] = None
    ingress["num_replicas"] = 1
    for each in (device, ingress):
        each["ray_actor_options"] = {"num_cpus": 0.1}
    other = copy.deepcopy(first)
    other["name"], other["route_prefix"] = "other", OTHER
    other["runtime_env"]["env_vars"] |= {
        "GATEWATCH_DATA_DIR": str(folder / "other"),
        "GATEWATCH_PRECISION": "bfloat16",
        "GATEWATCH_QUEUE_IMAGES": str(QUEUE),
        "GATEWATCH_MAX_REQUEST_IMAGES": str(QUEUE),
        "GATEWATCH_MAX_BODY_BYTES": "1000000",
        "GATEWATCH_QUEUE_BYTES": "1000000",
    }
    config["applications"].append(other)
    return config


def until(holds: Callable[[], Any], what: str, timeout_s: float = LONGEST_S) -> None:
    """Wait until something is truthy."""
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, f"still waiting for {what}"
        time.sleep(0.2)


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


def learn(client: Any, name: str, pngs: list[bytes]) -> dict[str, Any]:
    """Fit and calibrate a detector, and return what it says of images that it has not seen."""
    create(client, name)
    for verb, part in (("fit", pngs[:20]), ("calibrate", pngs[20:40])):
        ended = upload(client, name, verb, part)
        assert ended.status_code == 200, ended.text
    answer = upload(client, name, "score", pngs[40:44])
    assert answer.status_code == 200, answer.text
    scored: dict[str, Any] = answer.json()
    return scored


@pytest.fixture(scope="module")
def scored(client: httpx.Client, pngs: list[bytes]) -> dict[str, Any]:
    return learn(client, "screws", pngs)


def post(client: httpx.Client, content: bytes, prefix: str = "") -> httpx.Response:
    headers = {"content-type": "image/png"}
    url = f"{prefix}/v1/detectors/screws/score"
    return client.post(url, content=content, headers=headers)


@dataclass
class Load:
    """What clients were answered, each sending one image after the other."""

    statuses: Counter[Any] = field(default_factory=Counter)
    refused: list[httpx.Response] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


@contextmanager
def under_load(url: str, content: bytes, clients: int, prefix: str = "") -> Iterator[Load]:
    load, done = Load(), threading.Event()

    def send() -> None:
        with httpx.Client(base_url=url, timeout=LONGEST_S) as client:
            while not done.is_set():
                try:
                    answer = post(client, content, prefix)
                except httpx.TransportError as error:
                    load.statuses[type(error).__name__] += 1
                    continue
                load.statuses[answer.status_code] += 1
                if answer.status_code == 200:
                    load.scores.append(answer.json()["results"][0]["score"])
                else:
                    load.refused.append(answer)
                    time.sleep(0.05)

    with ThreadPoolExecutor(clients) as pool:
        sending = [pool.submit(send) for _ in range(clients)]
        try:
            yield load
        finally:
            done.set()
    for each in sending:
        each.result()


def targets(client: httpx.Client) -> list[dict[str, Any]]:
    """What Prometheus is told: the addresses of the replicas, by deployment."""
    answer = client.get("/targets")
    assert answer.headers["content-type"] == "application/json"
    found: list[dict[str, Any]] = answer.json()
    return found


def kind_of(labels: dict[str, str]) -> tuple[str, str]:
    return labels["application"], labels["deployment"]


@contextmanager
def prometheus(folder: Path, listed: str) -> Iterator[str]:
    """Prometheus on the committed file, in a hurry, without rules and alerts."""
    path = shutil.which("prometheus")
    if path is None:
        pytest.skip("prometheus is not installed: it comes with Debian's package prometheus")
    config = yaml.safe_load((ROOT / "deploy/ray/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    (discovery,) = job["http_sd_configs"]
    discovery |= {"url": listed, "refresh_interval": "1s"}
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
    del config["alerting"], config["rule_files"]
    file, port = folder / "prometheus.yml", free_port()
    file.write_text(yaml.safe_dump(config))
    command = [path, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            until(lambda: is_answered(f"{url}/-/ready"), "Prometheus")
            yield url
        finally:
            process.kill()


def is_answered(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


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
