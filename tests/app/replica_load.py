"""What clients do to the replicas at once: they score, probe and change; and what they saw."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import httpx
from history_helpers import picture

from gatewatch import Client
from gatewatch.answers import ImageResult, NewThreshold
from gatewatch.errors import ProblemError, ServerUnreachableError

T = TypeVar("T")

IMAGES = [picture(10_000 + seed, odd=20 * (seed % 4)) for seed in range(12)]
CHANGING, STEADY = "changing", "steady"
FITTED, EXTENSION, EXTENSIONS = 12, 4, 4
"""Images of the first fit, of each extension, and how many of these there are at most."""
PATIENCE_S = 120.0
SCORERS = 3
UNAVAILABLE = 503
BMP = {"content-type": "image/bmp"}


def batch(number: int) -> list[bytes]:
    """Return the images of the first fit (0), or of an extension."""
    start = 100 * number
    return [picture(seed) for seed in range(start, start + (EXTENSION if number else FITTED))]


@dataclass(frozen=True)
class Scored:
    """An answer that a client got: which image, what of it, by which detector and version."""

    image: int
    detector: str
    version: int
    result: ImageResult


@dataclass
class Done:
    """What a client was told to have done; a change by the reason it gave for it."""

    scored: list[Scored] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """Of every answer to those who score with patience."""
    probes: list[tuple[int, bool]] = field(default_factory=list)
    """Status and whether it said when to come again, without patience; (0, False): a reset."""
    acknowledged: list[str] = field(default_factory=list)
    in_doubt: list[str] = field(default_factory=list)
    thresholds: dict[int, float] = field(default_factory=dict)
    """By the version that was made."""
    keys: dict[str, set[str]] = field(default_factory=dict)
    """What a key may be, by its name; two states only where a revocation is in doubt."""
    broken: list[BaseException] = field(default_factory=list)


class Load:
    """Threads that go on until they are told to stop."""

    def __init__(self, url: str, key: str, line: float) -> None:
        self.done = Done()
        self._url, self._key, self._line = url, key, line
        self._extended = 0
        self._stop = threading.Event()
        work = [self._change, self._probe, *(partial(self._score, turn) for turn in range(SCORERS))]
        self._threads = [threading.Thread(target=self._guarded, args=(each,)) for each in work]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.done.broken.append(error)

    def _score(self, turn: int) -> None:
        """Score one picture after the other, by both detectors in turn."""
        with Client(self._url, self._key) as client:
            told = self.done.statuses
            client._http.event_hooks = {"response": [lambda each: told.append(each.status_code)]}
            while not self._stop.is_set():
                image, name = turn % len(IMAGES), (CHANGING, STEADY)[turn % 2]
                scores = client.score_batch(name, [IMAGES[image]])
                self.done.scored.append(Scored(image, name, scores.version, scores.results[0]))
                turn += 1

    def _probe(self) -> None:
        """Score without any patience, on a connection that is kept."""
        headers = {"authorization": f"Bearer {self._key}", **BMP}
        with httpx.Client(base_url=self._url, headers=headers, timeout=60) as client:
            while not self._stop.is_set():
                try:
                    path = f"/v1/detectors/{CHANGING}/score"
                    answer = client.post(path, content=IMAGES[0])
                    again = "retry-after" in answer.headers
                    self.done.probes.append((answer.status_code, again))
                except (httpx.NetworkError, httpx.RemoteProtocolError):
                    self.done.probes.append((0, False))
                time.sleep(0.02)

    def _change(self) -> None:
        """Draw lines, put versions in service and back, extend, make keys and revoke them."""
        turn = 0
        with Client(self._url, self._key) as client:
            while not self._stop.is_set():
                turn += 1
                self._round(client, turn)

    def _round(self, client: Client, turn: int) -> None:
        self._key_comes_and_goes(client, turn)
        first = self._draw(client, turn, 0)
        if first is not None and self._draw(client, turn, 1) is not None:
            self._try(f"promote {turn}", lambda why: client.promote(CHANGING, first, reason=why))
            self._try(f"rollback {turn}", lambda why: client.rollback(CHANGING, reason=why))
        if turn % 3 == 1 and self._extended < EXTENSIONS:
            self._extended += 1
            # Never in doubt: it may be repeated, and its job is taken up by others.
            why = f"extend {turn}"
            job = client.extend(CHANGING, batch(self._extended), promote="never", reason=why)
            made = job.wait(PATIENCE_S).detector.version
            self.done.acknowledged.append(why)
            drawn = self._draw(client, turn, 2, made)
            if drawn is not None:
                why = f"serve {turn}"
                self._try(why, lambda why: client.promote(CHANGING, drawn, reason=why))

    def _draw(self, client: Client, turn: int, part: int, base: int | None = None) -> int | None:
        value = self._line * (1 + 1e-3 * turn + 1e-4 * part)
        line = NewThreshold(method="manual", value=value)

        def draw(why: str) -> int:
            drawn = client.set_threshold(CHANGING, line, base=base, allow_stale=True, reason=why)
            self.done.thresholds[drawn.version] = value
            return drawn.version

        return self._try(f"line {turn}.{part}", draw)

    def _key_comes_and_goes(self, client: Client, turn: int) -> None:
        name = f"key-{turn}"
        make = f"make {turn}"
        made = self._try(make, lambda why: client.create_key(name, "score", reason=why))
        if made is not None:
            self.done.keys[name] = {"usable"}
        if made is not None and turn % 2:
            revoke = f"revoke {turn}"
            self._try(revoke, lambda why: client.revoke_key(made.id, reason=why))
            told = revoke in self.done.acknowledged
            self.done.keys[name] = {"revoked"} if told else {"revoked", "usable"}

    def _try(self, why: str, change: Callable[[str], T]) -> T | None:
        """Make a change; None where nobody knows whether it was made."""
        try:
            made = change(why)
        except (ServerUnreachableError, ProblemError) as error:
            if isinstance(error, ProblemError) and error.status != UNAVAILABLE:
                raise
            self.done.in_doubt.append(why)
            return None
        self.done.acknowledged.append(why)
        return made
