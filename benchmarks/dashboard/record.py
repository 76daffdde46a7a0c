"""A simulation under a real Prometheus, and what the dashboard's queries say of it.

Prometheus has the committed rules and scrapes every ``STEP_S``; a query's ``$__rate_interval`` is
``RATE_INTERVAL``, as Grafana would choose it for that.
"""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import yaml
from tqdm import tqdm

from app.simulation.pictures import Drawn
from app.simulation.play import Played, Player
from app.simulation.script import script
from app.simulation.subject import Alarm, Standing, Subject
from demo.service import ROOT, running
from gatewatch import Client

DEPLOY = ROOT / "deploy"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "gatewatch.json"
NAME, STEP_S, RATE_INTERVAL = "caps", 5, "20s"
FITTED, CALIBRATED = 80, 300


@dataclass(frozen=True)
class Span:
    """A phase: what happened, and its first and last moment in Unix time."""

    words: str
    changed: bool
    start: float
    end: float


@dataclass(frozen=True)
class Series:
    """A line of a panel: the legend that the dashboard gives it, its labels, moments and values."""

    labels: dict[str, str]
    at: list[float]
    values: list[float]


@dataclass(frozen=True)
class Recording:
    """What happened, and of each panel, by its title, each query's series."""

    spans: list[Span]
    panels: dict[str, list[list[Series]]]

    def save(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, file: Path) -> "Recording":
        """Read what ``save`` has written."""
        content = json.loads(file.read_text())
        panels = {
            title: [[Series(**series) for series in query] for query in queries]
            for title, queries in content["panels"].items()
        }
        return cls([Span(**span) for span in content["spans"]], panels)


def record(rate: float, count: int, seed: int) -> Recording:
    """Play the tour and ask all queries of the dashboard about it."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with running(folder / "service") as service:
            service.wait_until_ready()
            with prometheus(folder, httpx.URL(service.url).netloc.decode()) as server:
                spans = play(service.url, rate, count, seed)
                time.sleep(2 * STEP_S)  # the last of it is to be scraped
                return Recording(spans, ask(server, spans))


def play(url: str, rate: float, count: int, seed: int) -> list[Span]:
    """Play the tour; return when what happened."""
    pictures, moments = Drawn(seed), dict[int, tuple[float, float]]()
    acts = script("tour", count, pictures)
    phases = [each for act in acts for each in (act.before, act.change, act.after) if each]
    with Client(url) as client, tqdm(total=sum(each.images for each in phases)) as bar:
        subject = Subject(client, NAME)
        subject.make(image_size=256)
        for part, images in (("fit", FITTED), ("calibrate", CALIBRATED)):
            subject.learn(pictures, part, images, lambda _: lambda _: None)  # type: ignore[arg-type]
        begun = time.time()

        def seen(played: Played, _: Standing, new: Sequence[Alarm]) -> None:
            number = len(player.played) - 1
            before = moments[number - 1][1] if number else begun
            moments[number] = (moments.get(number, (before, 0))[0], time.time())
            bar.update(sum(each.images for each in player.played) - bar.n)

        player = Player(subject, pictures, seed, rate, seen)
        player.play(acts)
    return [
        Span(_words(played), played.phase.change != "normal", *moments[number])
        for number, played in enumerate(player.played)
    ]


def _words(played: Played) -> str:
    return played.phase.change if played.phase.judged else "back to normal"


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Run Prometheus with the committed rules; yields its URL."""
    program = shutil.which("prometheus")
    if program is None:
        raise SystemExit("prometheus is not installed: it comes with Debian's package prometheus")
    rules = folder / "rules"
    rules.mkdir()
    for source in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
        shutil.copy(source, rules)
    every = f"{STEP_S}s"
    config = {
        "global": {
            "scrape_interval": every,
            "scrape_timeout": every,
            "evaluation_interval": every,
        },
        "rule_files": ["rules/*.yml"],
        "scrape_configs": [{"job_name": "gatewatch", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with subprocess.Popen(command) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def ask(server: str, spans: Sequence[Span]) -> dict[str, list[list[Series]]]:
    """Return what each query of each panel says over all spans."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels: dict[str, list[list[Series]]] = {}
    with httpx.Client(base_url=server, timeout=60, trust_env=False) as http:
        for panel in dashboard["panels"]:
            panels[panel["title"]] = [
                _ask(http, target["expr"], spans) for target in panel.get("targets", [])
            ]
    return panels


def _ask(http: httpx.Client, expression: str, spans: Sequence[Span]) -> list[Series]:
    length = f"{spans[-1].end - spans[0].start:.0f}s"
    for variable, value in (
        ("$__rate_interval", RATE_INTERVAL),
        ("$__range", length),
        ("$model", NAME),
    ):
        expression = expression.replace(variable, value)
    asked: dict[str, Any] = {
        "query": expression,
        "start": spans[0].start,
        "end": spans[-1].end + STEP_S,
        "step": STEP_S,
    }
    answer = http.post("/api/v1/query_range", data=asked).raise_for_status().json()
    return [
        Series(
            found["metric"],
            [float(at) for at, _ in found["values"]],
            [float(value) for _, value in found["values"]],
        )
        for found in answer["data"]["result"]
    ]
