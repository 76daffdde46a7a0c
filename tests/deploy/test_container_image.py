"""The Dockerfile keeps its promises, as far as they show without a container engine."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parents[2]
HEALTHCHECK = ROOT / "deploy" / "healthcheck.py"
CONSTRAINTS = "numpy==2.0.1\ntorch==2.9.1+cpu\ntorchvision==0.24.1\n"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with continued lines joined and comments left out."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (i.partition(" ") for i in joined.split("\n") if i)]


def runtime() -> list[tuple[str, str]]:
    """The instructions of the last stage: what ends up in the image that runs."""
    everything = instructions()
    last = max(index for index, (name, _) in enumerate(everything) if name == "FROM")
    return everything[last:]


def value(name: str) -> str:
    (found,) = (rest for instruction, rest in runtime() if instruction == name)
    return found


def test_runs_as_a_fixed_user_other_than_root() -> None:
    user, _, group = value("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_starts_in_exec_form_so_that_signals_arrive() -> None:
    assert json.loads(value("ENTRYPOINT")) == ["gatewatch"]
    assert json.loads(value("CMD")) == ["serve"]
    assert value("STOPSIGNAL") == "SIGTERM"


def test_serves_from_the_data_volume() -> None:
    assert json.loads(value("VOLUME")) == ["/data"]
    assert value("EXPOSE") == "8000"
    environment = " ".join(rest for name, rest in runtime() if name == "ENV")
    for setting in ("DATA_DIR=/data", "HOST=0.0.0.0", "PORT=8000"):
        assert f"GATEWATCH_{setting}" in environment


def test_nothing_is_fetched_by_add() -> None:
    assert "ADD" not in {name for name, _ in instructions()}


def test_runtime_holds_the_environment_and_no_source() -> None:
    copies = [rest for name, rest in runtime() if name == "COPY"]
    assert copies == [
        "--from=environment /opt/gatewatch /opt/gatewatch",
        "--chmod=644 deploy/healthcheck.py /opt/gatewatch/healthcheck.py",
    ]


def test_build_context_admits_only_what_the_image_needs() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert next(line for line in lines if not line.startswith("#")) == "*"
    admitted = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert {"pyproject.toml", "constraints.txt", "deploy/healthcheck.py"} <= admitted
    assert {"app", "detector", "models"} <= admitted
    for name in admitted - {"LICENSE*"}:
        assert (ROOT / name).exists(), name


def install_torch(variant: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the Dockerfile's own shell lines that install PyTorch, with pip only echoing."""
    (script,) = (rest for name, rest in instructions() if "case" in rest and name == "RUN")
    script = re.sub(r"--mount=\S+ *", "", script).replace("/opt/gatewatch/bin/pip", "echo")
    (folder / "constraints.txt").write_text(CONSTRAINTS, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "TORCH_VARIANT": variant}
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (
            "cpu",
            "install --no-deps --index-url https://download.pytorch.org/whl/cpu torch==2.9.1",
        ),
        ("cuda", "install -c others.txt torch==2.9.1"),
    ],
)
def test_torch_variant_decides_where_pytorch_comes_from(
    variant: str, expected: str, tmp_path: Path
) -> None:
    done = install_torch(variant, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == expected.split()
    others = (tmp_path / "others.txt").read_text(encoding="utf-8")
    assert others == "numpy==2.0.1\ntorchvision==0.24.1\n"


def test_unknown_torch_variant_stops_the_build(tmp_path: Path) -> None:
    done = install_torch("rocm", tmp_path)
    assert done.returncode == 64
    assert "rocm" in done.stderr


@contextmanager
def service(status: int) -> Iterator[int]:
    """A service on loopback that answers /readyz with one status; yields its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def probe(port: int, *urls: str) -> int:
    """Run the health check as the image does, with a proxy set that leads nowhere."""
    environment = {"GATEWATCH_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-I", str(HEALTHCHECK), *urls]
    return subprocess.run(command, env=environment, capture_output=True, timeout=120).returncode


def test_health_check_of_the_image_is_the_committed_script() -> None:
    command = json.loads(value("HEALTHCHECK").partition("CMD ")[2])
    assert command == ["python", "-I", "/opt/gatewatch/healthcheck.py"]


@pytest.mark.parametrize(("status", "code"), [(200, 0), (204, 1), (404, 1), (503, 1)])
def test_health_check_follows_readyz(status: int, code: int) -> None:
    with service(status) as port:
        assert probe(port) == code


def test_health_check_asks_every_address_that_it_is_given() -> None:
    with service(200) as well, service(503) as ill:
        ours, theirs = (f"http://127.0.0.1:{port}/readyz" for port in (well, ill))
        assert probe(ill, ours, ours) == 0
        assert probe(well, ours, theirs) == 1


def test_health_check_fails_when_nobody_listens() -> None:
    with service(200) as port:
        pass
    assert probe(port) == 1
