"""The Kubernetes manifests: valid, generated where they are copies, and they fit together."""

import importlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.serving import GRACE_S
from app.settings import Settings
from app.telemetry import Telemetry

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
OPERATOR = {"ServiceMonitor", "PrometheusRule"}
"""Kinds of the Prometheus operator: no schema of Kubernetes itself describes them."""


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


KUSTOMIZATION = load(FOLDER / "kustomization.yaml")
MANIFESTS = {each["kind"]: each for each in map(load, sorted(FOLDER.glob("[!k]*.yaml")))}


def container() -> dict[str, Any]:
    (only,) = MANIFESTS["Deployment"]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def test_every_manifest_is_applied() -> None:
    """Contract: the kustomization lists all files, and they are the kinds expected."""
    listed = set(KUSTOMIZATION["resources"])
    assert listed == {path.name for path in FOLDER.glob("[!k]*.yaml")}
    assert MANIFESTS.keys() - OPERATOR == {
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "ConfigMap",
    }


@pytest.mark.parametrize("kind", sorted(MANIFESTS.keys() - OPERATOR))
def test_manifest_follows_the_schema_of_kubernetes(kind: str) -> None:
    """Reference: the published schemas, strictly: an unknown key is an error."""
    kubernetes_validate.validate(MANIFESTS[kind], "1.37", strict=True)


def test_an_unknown_key_would_be_found() -> None:
    """Contract: the schemas are strict indeed."""
    wrong = MANIFESTS["Service"] | {"spce": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


def test_generated_manifests_are_what_the_generator_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    for name, text in importlib.import_module("manifests").render().items():
        committed = (FOLDER / name).read_text(encoding="utf-8")
        assert committed == text, "run python deploy/kubernetes/manifests.py"


def test_rules_and_dashboard_are_those_of_compose() -> None:
    """Contract: the copies parse to the very same rules and the very same dashboard."""
    sources = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))
    groups = [group for source in sources for group in load(source)["groups"]]
    assert MANIFESTS["PrometheusRule"]["spec"] == {"groups": groups}
    shown = yaml.safe_load(MANIFESTS["ConfigMap"]["data"]["gatewatch.json"])
    assert shown == load(ROOT / "deploy" / "grafana" / "dashboards" / "gatewatch.json")
    assert MANIFESTS["ConfigMap"]["metadata"]["labels"] == {"grafana_dashboard": "1"}


def test_parts_name_one_another() -> None:
    """Contract: service, monitor and autoscaler mean the pods of the deployment."""
    deployment, service = MANIFESTS["Deployment"], MANIFESTS["Service"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == labels
    (port,) = container()["ports"]
    (published,) = service["spec"]["ports"]
    assert published["targetPort"] == port["name"]
    monitor = MANIFESTS["ServiceMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"] == service["metadata"]["labels"]
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "gatewatch"
    assert [end["port"] for end in monitor["endpoints"]] == [published["name"]]
    scaled = MANIFESTS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (scaled["kind"], scaled["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"]


def test_scrapes_are_as_often_as_the_dashboard_expects() -> None:
    scraped = load(ROOT / "deploy" / "prometheus" / "prometheus.yml")["global"]["scrape_interval"]
    assert MANIFESTS["ServiceMonitor"]["spec"]["endpoints"][0]["interval"] == scraped


def test_pod_is_confined_as_in_compose() -> None:
    """Contract: the image's user, no privilege, a root that cannot be written."""
    pod = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert f"USER {user}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container()["volumeMounts"]} == {"/data", "/tmp"}


def test_pod_has_the_time_to_finish_what_it_began() -> None:
    """Contract: longer than it is still found, goes on with requests, and stops its parts."""
    pod = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
    pause_s = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed_s = pause_s + Settings().drain_seconds + GRACE_S
    assert 0 < pause_s < needed_s < pod["terminationGracePeriodSeconds"]


def test_probes_ask_what_says_so() -> None:
    """Contract: nothing is sent before it is ready, and only what cannot go on is restarted."""
    paths = {
        name: container()[name]["httpGet"]["path"]
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {
        "startupProbe": "/readyz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/livez",
    }
    startup = container()["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 120


def test_replicas_go_one_at_a_time_and_lie_apart() -> None:
    """Contract: an update, a node that is emptied, and one that is lost leave some."""
    deployment, budget = MANIFESTS["Deployment"]["spec"], MANIFESTS["PodDisruptionBudget"]["spec"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert budget["maxUnavailable"] < MANIFESTS["HorizontalPodAutoscaler"]["spec"]["minReplicas"]
    (spread,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert budget["selector"] == spread["labelSelector"] == deployment["selector"]


def test_autoscaler_asks_for_a_series_that_there_is() -> None:
    """Contract: the gauge of the service, as the adapter gives it; then the processor's load."""
    waiting, load = MANIFESTS["HorizontalPodAutoscaler"]["spec"]["metrics"]
    name = waiting["pods"]["metric"]["name"]
    shown = {metric.name for metric in Telemetry().registry.collect()}
    assert name in shown
    (rule,) = load_values()["rules"]["custom"]
    assert rule["seriesQuery"].partition("{")[0] == name
    assert set(rule["resources"]["overrides"]) == {"namespace", "pod"}
    assert load["resource"]["name"] == "cpu"


def load_values() -> dict[str, Any]:
    return load(FOLDER / "adapter" / "values.yaml")


def test_prometheus_parses_the_query_of_the_adapter(tmp_path: Path) -> None:
    """Reference: filled in as the adapter does it."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not installed: it comes with Debian's package prometheus")
    (rule,) = load_values()["rules"]["custom"]
    parts = {"Series": "gatewatch_queue_images", "GroupBy": "pod", "LabelMatchers": 'pod=~"a|b"'}
    query = rule["metricsQuery"]
    for name, part in parts.items():
        query = query.replace(f"<<.{name}>>", part)
    assert "<<" not in query
    file = tmp_path / "rules.yml"
    group = {"name": "adapter", "rules": [{"record": "adapter:query", "expr": query}]}
    file.write_text(yaml.safe_dump({"groups": [group]}))
    done = subprocess.run([path, "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_operator_is_told_what_it_needs() -> None:
    """Contract: the two kinds without a schema here are of the operator's one group."""
    for kind in OPERATOR:
        assert MANIFESTS[kind]["apiVersion"] == "monitoring.coreos.com/v1"
        assert MANIFESTS[kind]["metadata"] == {"name": "gatewatch"}


def test_kustomize_builds_all_of_it() -> None:
    """Contract: kubectl puts the manifests together and fills in the image."""
    path = shutil.which("kubectl")
    if path is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run([path, "kustomize", FOLDER], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    built = {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}
    assert built.keys() == MANIFESTS.keys()
    (image,) = KUSTOMIZATION["images"]
    (only,) = built["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert only["image"] == f"{image['newName']}:{image['newTag']}"
