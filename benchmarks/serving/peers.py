"""The servers that the service is measured beside, each with the same pictures and clients.

Every one answers ``POST /score`` with a raw body and 200 at ``/readyz``; its arguments are followed
by the normal pictures it learns from.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.serving.processes import Server, started

PATH = "/score"
ANOMALIB = "benchmarks.serving.anomalib_peer"
MISSING = "not installed, so not measured: {} (pip install 'gatewatch[compare,openvino]')"


@dataclass(frozen=True, slots=True)
class Peer:
    """One of them: what its loads are called, what it is, and how it is started."""

    name: str
    title: str
    module: str
    arguments: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    """What it needs beyond the service's own."""
    least: float | None = None
    """How many times its throughput the service should reach."""

    @property
    def installed(self) -> bool:
        """Whether it can be measured here."""
        return all(find_spec(package) for package in self.packages)


PEERS = (
    Peer("plain", "plain FastAPI and torch", "benchmarks.serving.plain", least=2),
    Peer(
        "anomalib torch",
        "anomalib's TorchInferencer, PaDiM",
        ANOMALIB,
        arguments=("torch",),
        packages=("anomalib",),
    ),
    Peer(
        "anomalib openvino",
        "anomalib's OpenVINOInferencer, PaDiM",
        ANOMALIB,
        arguments=("openvino",),
        packages=("anomalib", "openvino"),
    ),
)


def missing() -> str:
    """Return a line on the peers that are not installed, and how to; empty if all are."""
    titles = [peer.title for peer in PEERS if not peer.installed]
    return MISSING.format("; ".join(titles)) if titles else ""


def serve(stack: ExitStack, pictures: list[Path], folder: Path) -> dict[str, Server]:
    """Start every peer that is installed, until the stack ends; return them by name."""
    return {
        peer.name: stack.enter_context(
            started(peer.module, [*peer.arguments, *map(str, pictures)], folder / peer.name, {})
        )
        for peer in PEERS
        if peer.installed
    }
