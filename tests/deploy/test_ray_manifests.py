"""What runs gatewatch on Ray: valid as far as it shows without KubeRay, and the files agree."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from ray._common.utils import import_attr
from ray.serve.schema import ServeDeploySchema

from app.ray.ingress import STREAM_S
from app.ray.remote_embedder import CALLS, IMAGES, PATIENCE_S
from app.settings import Settings

ROOT = Path(__file__).parents[2]
ANSWER_S = 4
"""How long ``deploy/healthcheck.py`` waits for each address."""
FOLDER = ROOT / "deploy" / "ray"
SERVICE = yaml.safe_load((FOLDER / "rayservice.yaml").read_text(encoding="utf-8"))
CONFIGS = {
    "one machine": yaml.safe_load((FOLDER / "serve.yaml").read_text(encoding="utf-8")),
    "KubeRay": yaml.safe_load(SERVICE["spec"]["serveConfigV2"]),
}
CLUSTER = SERVICE["spec"]["rayClusterConfig"]
GROUPS = {"head": CLUSTER["headGroupSpec"]} | {
    group["groupName"]: group for group in CLUSTER["workerGroupSpecs"]
}


def deployments(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for app in config["applications"] for each in app["deployments"]}


@pytest.mark.parametrize("name", CONFIGS)
def test_serve_takes_the_configuration(name: str) -> None:
    """Reference: Ray's own schema, strictly; what it names can be imported and takes its args."""
    parsed = ServeDeploySchema.model_validate(CONFIGS[name])
    for application in parsed.applications:
        build = import_attr(application.import_path)
        (kind,) = (each for key, each in build.__annotations__.items() if key != "return")
        build(kind(**application.args))
    policy = deployments(CONFIGS[name])["Device"]["autoscaling_config"]["policy"]
    assert callable(import_attr(policy["policy_function"]))


@pytest.mark.parametrize("name", CONFIGS)
def test_replicas_have_the_time_to_finish_what_they_began(name: str) -> None:
    """Contract: a stream ends meanwhile, and a request in whose midst the devices went, too."""
    ingress = deployments(CONFIGS[name])["Ingress"]
    assert ingress["graceful_shutdown_timeout_s"] > max(STREAM_S, PATIENCE_S)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_service_refuses_and_not_serve(name: str) -> None:
    """Contract: Serve's limits lie above the service's own."""
    found = deployments(CONFIGS[name])
    most = found["Ingress"]["autoscaling_config"]["max_replicas"]
    assert found["Device"]["max_ongoing_requests"] > most * CALLS
    assert found["Ingress"]["max_ongoing_requests"] > Settings.model_fields["queue_images"].default
    assert not any("max_queued_requests" in each for each in found.values())
    # One replica that takes requests can have enough under way to bring another device.
    scaling = found["Device"]["autoscaling_config"]
    assert scaling["target_ongoing_requests"] < CALLS * IMAGES
    # And all of them can have enough under way to bring the last one.
    assert most * CALLS * IMAGES >= scaling["max_replicas"] * scaling["target_ongoing_requests"]


@pytest.mark.parametrize("group", GROUPS)
def test_pods_follow_the_schema_of_kubernetes(group: str) -> None:
    """Reference: the published schema of a pod, strictly."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": group}}
    kubernetes_validate.validate(pod | GROUPS[group]["template"], "1.37", strict=True)


@pytest.mark.parametrize("group", GROUPS)
def test_pods_are_confined_and_given_time(group: str) -> None:
    spec = GROUPS[group]["template"]["spec"]
    (container,) = spec["containers"]
    user = f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
    assert f"USER {user}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"secretRef": {"name": "gatewatch-storage"}} in container["envFrom"]
    found = deployments(CONFIGS["KubeRay"]).values()
    slowest_s = max(each.get("graceful_shutdown_timeout_s", 0) for each in found)
    assert spec["terminationGracePeriodSeconds"] > slowest_s


@pytest.mark.parametrize("group", GROUPS)
def test_probes_need_nothing_that_the_image_has_not(group: str) -> None:
    """Contract: KubeRay adds none of its own, which call wget, where there are some."""
    (container,) = GROUPS[group]["template"]["spec"]["containers"]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for name in ("livenessProbe", "readinessProbe"):
        python, isolated, script, *urls = container[name]["exec"]["command"]
        assert f'["{python}", "{isolated}", "{script}"]' in dockerfile  # as its own health check
        assert urls
        assert container[name]["timeoutSeconds"] > ANSWER_S * len(urls)
        assert ("http://127.0.0.1:8000/-/healthz" in urls) == (
            group != "head" and name == "readinessProbe"
        )


def test_ray_answers_nobody_without_its_token() -> None:
    assert CLUSTER["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize(("group", "deployment"), [("api", "Ingress"), ("devices", "Device")])
def test_each_kind_of_replica_fits_into_its_own_pods(group: str, deployment: str) -> None:
    """Contract: one replica a pod, as many pods as replicas, nowhere else."""
    needs = deployments(CONFIGS["KubeRay"])[deployment]
    has = GROUPS[group]
    offered = json.loads(json.loads(has["rayStartParams"]["resources"]))
    assert needs["ray_actor_options"]["resources"] == offered
    assert needs["ray_actor_options"]["num_cpus"] <= int(has["rayStartParams"]["num-cpus"])
    scaling = needs["autoscaling_config"]
    assert (has["minReplicas"], has["maxReplicas"]) == (
        scaling["min_replicas"],
        scaling["max_replicas"],
    )
    assert GROUPS["head"]["rayStartParams"]["num-cpus"] == "0"


def test_rays_version_is_the_tested_one() -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"ray=={CLUSTER['rayVersion']}" in constraints


def test_prometheus_accepts_its_configuration() -> None:
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not installed: it comes with Debian's package prometheus")
    command = [path, "check", "config", "--syntax-only", "deploy/ray/prometheus.yml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_finds_the_rules() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    found = {path.name for glob in config["rule_files"] for path in FOLDER.glob(glob)}
    assert found == {path.name for path in (ROOT / "deploy/prometheus/rules").iterdir()}
