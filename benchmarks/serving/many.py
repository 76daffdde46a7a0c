"""One picture against many detectors, beside one: the cost of what each adds."""

import statistics
import time
from pathlib import Path

from benchmarks.serving import scene
from benchmarks.serving.figures import Figures
from benchmarks.serving.processes import Server, gatewatch
from benchmarks.serving.scene import Pictures

SCORERS = ("fusion", "gaussian")
TURNS = 20


def measured(folder: Path, chosen: Pictures, count: int) -> dict[str, Figures]:
    """Return, for each scorer, the milliseconds of one detector and of many, in turns.

    A server of its own, that keeps all of them in memory: by default most would be read again for
    every request. Each is a copy, by export and import.
    """
    found: dict[str, Figures] = {}
    kept = str(2 * len(SCORERS) * count)
    with gatewatch(folder, cached_detectors=kept, history_bytes="0") as server:
        scene.wait_for_engine(server)
        picture = next(path for path in chosen.score if path.suffix == ".jpg").read_bytes()
        for scorer in SCORERS:
            names = _copies(server, scorer, chosen, count)
            times_ms: dict[int, list[float]] = {1: [], count: []}
            for turn in range(TURNS + 2):
                for asked in times_ms:
                    took_ms = _ask(server, names[:asked], picture)
                    if turn >= 2:  # the first two read the detectors
                        times_ms[asked].append(took_ms)
            one_ms, many_ms = (statistics.median(times) for times in times_ms.values())
            found[f"many {scorer}"] = {
                "detectors": float(count),
                "one_ms": one_ms,
                "many_ms": many_ms,
                "ratio": many_ms / one_ms,
            }
    return found


def _copies(server: Server, scorer: str, chosen: Pictures, count: int) -> list[str]:
    scene.learn(server, scorer, chosen, scorer=scorer)
    exported = server.client.http.get(f"/v1/detectors/{scorer}/export")
    exported.raise_for_status()
    names = [scorer, *(f"{scorer}-{number}" for number in range(1, count))]
    for name in names[1:]:
        server.client.request(
            "POST",
            "/v1/import",
            params={"name": name},
            content=exported.content,
            headers={"Content-Type": "application/zip"},
        )
    return names


def _ask(server: Server, names: list[str], picture: bytes) -> float:
    started_s = time.perf_counter()
    answer, _ = server.client.request(
        "POST",
        "/v1/score",
        params={"detectors": ",".join(names)},
        content=picture,
        headers={"Content-Type": "image/jpeg"},
    )
    took_s = time.perf_counter() - started_s
    if any("problem" in one and one["problem"] for one in answer["detectors"]):
        raise RuntimeError(f"a detector did not score: {answer['detectors'][0]}")
    return 1e3 * took_s
