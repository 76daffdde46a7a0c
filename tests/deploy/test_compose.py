"""The compose file, Prometheus, Alertmanager and Grafana agree with one another and the image."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


COMPOSE = load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Where each volume or folder of a service is mounted: target to source."""
    parts = [volume.split(":") for volume in service.get("volumes", [])]
    return {part[1]: part[0] for part in parts}


def host_path(service: dict[str, Any], inside: str) -> Path:
    """The file or folder of this repository that a path inside a container stands for."""
    for target, source in mounts(service).items():
        if inside == target or inside.startswith(f"{target}/"):
            return ROOT / source / inside.removeprefix(target).lstrip("/")
    raise AssertionError(f"{inside} is not mounted")


def listens(address: str) -> bool:
    """Whether HOST:PORT is a service of the compose file and the port is one it publishes."""
    host, port = address.split(":")
    return any(entry.endswith(f":{port}") for entry in SERVICES[host]["ports"])


ALONE = ["gatewatch", "prometheus", "alertmanager", "grafana"]
REPLICAS = ["replica", "balancer", "postgres", "bucket"]
"""Of the profile of this name."""
NAMES = ALONE + REPLICAS
PUBLISHED = [*ALONE, "balancer"]


def test_services_are_those_expected() -> None:
    """Contract: what runs without a profile are the four; the others have theirs."""
    assert {name for name, each in SERVICES.items() if "profiles" not in each} == set(ALONE)
    assert {name for name, each in SERVICES.items() if "profiles" in each} == set(REPLICAS)
    assert {profile for name in REPLICAS for profile in SERVICES[name]["profiles"]} == {"replicas"}


@pytest.mark.parametrize("name", NAMES)
def test_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service


@pytest.mark.parametrize("name", NAMES)
def test_ports_are_published_on_the_loopback_interface_only(name: str) -> None:
    assert bool(SERVICES[name].get("ports")) == (name in PUBLISHED)
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port), port


@pytest.mark.parametrize("name", [name for name in NAMES if "build" not in SERVICES[name]])
def test_images_from_others_are_pinned(name: str) -> None:
    """Contract: to a release, which of PostgreSQL has two numbers."""
    assert re.search(r":v?\d+\.\d+(\.\d+)?(-alpine)?$", SERVICES[name]["image"])


def test_every_volume_is_declared_or_exists() -> None:
    for service in SERVICES.values():
        for source in mounts(service).values():
            assert (
                (ROOT / source).is_dir()
                if source.startswith(".")
                else (source in COMPOSE["volumes"])
            ), source


def test_waiting_for_health_needs_a_health_check() -> None:
    for service in SERVICES.values():
        for other, rule in service.get("depends_on", {}).items():
            if rule["condition"] == "service_healthy":
                # What is built here brings its own in its image.
                assert SERVICES[other].keys() & {"healthcheck", "build"}, other


def test_data_of_gatewatch_outlives_its_container() -> None:
    assert mounts(SERVICES["gatewatch"])["/data"] == "gatewatch-data"


def test_anonymous_viewers_are_off_by_default() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"].endswith(":-false}")
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_prometheus_scrapes_gatewatch() -> None:
    service = SERVICES["prometheus"]
    flags = dict(flag.lstrip("-").split("=", 1) for flag in service["command"])
    config = load(host_path(service, flags["config.file"]))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    (found,) = jobs["gatewatch"]["dns_sd_configs"]
    assert found["names"] == ["gatewatch", "replica"]  # each process, whichever run
    assert (found["type"], found["port"]) == ("A", 8000)
    assert listens(f"gatewatch:{found['port']}")
    (named,) = jobs["gatewatch"]["relabel_configs"]
    assert (named["regex"], named["replacement"]) == ("gatewatch", "gatewatch:8000")
    assert flags["enable-feature"] == "exemplar-storage"
    assert flags["storage.tsdb.path"] in mounts(service)


def flags(service: dict[str, Any]) -> dict[str, str]:
    return dict(flag.lstrip("-").split("=", 1) for flag in service["command"])


def test_prometheus_finds_its_rules_and_alertmanager() -> None:
    """Contract: the rules lie beside the configuration; alerts go to the other container."""
    service = SERVICES["prometheus"]
    file = host_path(service, flags(service)["config.file"])
    config = load(file)
    found = {path.name for pattern in config["rule_files"] for path in file.parent.glob(pattern)}
    assert found == {"alerts.yml", "recording.yml"}
    ((targets,),) = (each["static_configs"] for each in config["alerting"]["alertmanagers"])
    (address,) = targets["targets"]
    assert address.startswith("alertmanager:")
    assert listens(address)


def test_alertmanager_reads_its_routes_and_reaches_this_machine() -> None:
    """Contract: its configuration is mounted, its silences outlive it, webhooks find the host."""
    service = SERVICES["alertmanager"]
    config = load(host_path(service, flags(service)["config.file"]))
    assert flags(service)["storage.path"] in mounts(service)
    urls = [hook["url"] for each in config["receivers"] for hook in each.get("webhook_configs", [])]
    assert {url.split("/")[2] for url in urls} == {"host.docker.internal:5001"}
    assert service["extra_hosts"] == ["host.docker.internal:host-gateway"]


def test_alerts_link_to_the_grafana_of_the_compose_file() -> None:
    """Contract: the address that begins the links is one that is published."""
    config = load(ROOT / "deploy" / "prometheus" / "prometheus.yml")
    address = config["global"]["external_labels"]["grafana"].removeprefix("http://localhost:")
    assert listens(f"grafana:{address}")


def test_grafana_reads_from_the_prometheus_of_the_compose_file() -> None:
    config = load(PROVISIONING / "datasources" / "prometheus.yml")
    (source,) = config["datasources"]
    assert listens(source["url"].removeprefix("http://"))
    scraped = load(ROOT / "deploy" / "prometheus" / "prometheus.yml")
    assert source["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]


def test_grafana_finds_the_dashboards() -> None:
    grafana = SERVICES["grafana"]
    assert host_path(grafana, "/etc/grafana/provisioning") == PROVISIONING
    (provider,) = load(PROVISIONING / "dashboards" / "gatewatch.yml")["providers"]
    folder = host_path(grafana, provider["options"]["path"])
    assert [path.name for path in folder.iterdir()] == ["gatewatch.json"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert host_path(grafana, home).is_file()


def test_open_without_keys_only_where_nobody_else_reaches_it() -> None:
    """Compose may be open, for it publishes on loopback (above); the image itself is not."""
    assert SERVICES["gatewatch"]["environment"]["GATEWATCH_OPEN"] == "${GATEWATCH_OPEN:-true}"
    assert "GATEWATCH_OPEN" not in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_replicas_are_the_service_with_its_state_elsewhere() -> None:
    """Contract: the same image, confined alike; database and bucket are those of the file."""
    one, many = SERVICES["gatewatch"], SERVICES["replica"]
    different = {"environment", "ports", "volumes", "profiles", "deploy", "depends_on"}
    assert {key: each for key, each in one.items() if key not in different} == {
        key: each for key, each in many.items() if key not in different
    }
    assert many["deploy"] == {"replicas": 3}
    assert "volumes" not in many
    asked, database, bucket = (each["environment"] for each in (many, *stores()))
    assert asked["GATEWATCH_DATABASE"] == (
        f"postgresql://{database['POSTGRES_USER']}:{database['POSTGRES_PASSWORD']}"
        f"@postgres/{database['POSTGRES_USER']}"
    )
    assert asked["AWS_ENDPOINT_URL"].startswith("http://bucket:")
    assert asked["AWS_ACCESS_KEY_ID"] == bucket["ROOT_ACCESS_KEY"]
    assert asked["AWS_SECRET_ACCESS_KEY"] == bucket["ROOT_SECRET_KEY"]
    (folder,) = mounts(SERVICES["bucket"])  # a folder below the root is a bucket
    root, name = folder.rsplit("/", 1)
    assert (root, f"s3://{name}/state") == (bucket["VGW_BACKEND_ARGS"], asked["GATEWATCH_BUCKET"])


def stores() -> tuple[dict[str, Any], dict[str, Any]]:
    return SERVICES["postgres"], SERVICES["bucket"]


def test_no_secret_is_written_down_but_defaults() -> None:
    """Contract: each can be given by the environment, and no other part hears of it."""
    for name in REPLICAS:
        for key, value in SERVICES[name].get("environment", {}).items():
            if re.search("PASSWORD|SECRET|DATABASE|_KEY", key):
                assert re.search(r"\$\{(POSTGRES_PASSWORD|BUCKET_(ACCESS|SECRET)_KEY):-", value), (
                    key
                )


def test_balancer_finds_the_replicas_of_the_compose_file() -> None:
    """Contract: by their name, on their port, with a place for each; it is asked where one was."""
    file = host_path(SERVICES["balancer"], "/usr/local/etc/haproxy/haproxy.cfg")
    text = file.read_text(encoding="utf-8")
    ((places, name, port),) = re.findall(r"server-template \w+ (\d+) (\w+):(\d+)", text)
    assert name == "replica"
    assert int(places) >= SERVICES["replica"]["deploy"]["replicas"]
    assert SERVICES["balancer"]["ports"] == SERVICES["gatewatch"]["ports"]
    assert listens(f"gatewatch:{port}")
    assert re.findall(r"bind :(\d+)", text) == ["8000"]
