"""The service under load, beside its limit and peers, in one run.

    python -m benchmarks.serving SHARED_DATA --out OUT [--seconds 10] [--rounds 3] [--soak 10]
        [--only stages,closed,...] [--quick]

A real server on its defaults, with a default detector fitted to pictures of the shared data, and
its peers: a plain FastAPI handler around the same network in torch and, where they are installed,
handlers around anomalib's inferencers. In rounds, so that a busy machine troubles all alike: the
stages of a score without HTTP; 1, 8 and 64 clients of every server; 50 to 1000 % of the capacity
of that round at random arrivals; scoring beside a fit. Once: one picture against 100 detectors;
with ``--soak``, so many minutes at 1000 % and what memory grows by. OUT gets results.json (every
round, medians, and the claims' spread over rounds), serving.md and serving.png. ``--only`` runs
some parts; what is claimed of others is left out. ``--quick`` is for trying it out: one short
round, three detectors. Linux only.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from tqdm import tqdm

from benchmarks.serving import many, peers, plot, report, scene, soak, stages
from benchmarks.serving.claims import capacity, judged
from benchmarks.serving.figures import Figures, Summary, as_figures, medians
from benchmarks.serving.processes import Server, gatewatch
from benchmarks.serving.rounds import OF_CAPACITY, PARTS, SHARES, Bench, steps
from models.cores import cores

PEER_PICTURES = 64
LOG_TAIL = 3000


def main() -> None:
    """Measure and write."""
    options = parsed()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        chosen = scene.pictures(options.shared, Path(folder, "png"), quick=options.quick)
        rounds = _rounds(Path(folder), chosen, options)
        if "many" in options.only:
            engines = Path("data", "engines")  # as they are: an export takes long
            shutil.copytree(Path(folder, "ours") / engines, Path(folder, "many") / engines)
            print(f"one picture against {options.detectors} detectors", file=sys.stderr)
            rounds[0].update(many.measured(Path(folder, "many"), chosen, options.detectors))
    found, claims = medians(rounds), judged(rounds)
    heading = (
        f"*{datetime.now(UTC):%Y-%m-%d}, {cores()} cores ({platform.machine()}), load before "
        f"{options.load:.1f}, medians of {options.rounds} round(s) of {options.seconds:g} s.*"
    )
    note = peers.missing() if "peers" in options.only else ""
    written = {
        "heading": heading,
        "note": note,
        "seconds": options.seconds,
        "medians": found,
        "ratios": report.as_json(claims),
        "rounds": [{name: as_figures(part) for name, part in one.items()} for one in rounds],
    }
    (options.out / "results.json").write_text(json.dumps(written, indent=1) + "\n")
    text = report.markdown(found, claims, heading, note)
    (options.out / "serving.md").write_text(text)
    plot.draw(found, options.out / "serving.png")
    print(text)


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options, of the command line unless others are given, with their defaults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, help="of each load")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--detectors", type=int, help="that one picture is scored against")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="of 1000 %%, in the end")
    parser.add_argument(
        "--only",
        type=_parts,
        default=PARTS,
        metavar="NAMES",
        help=f"some of {','.join(PARTS)}; what depends on capacity brings closed with it",
    )
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    options.seconds = options.seconds or (2.0 if options.quick else 10.0)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.detectors = options.detectors or (3 if options.quick else 100)
    if options.soak or set(OF_CAPACITY) & set(options.only):
        options.only = {*options.only, "closed"}
    options.load = os.getloadavg()[0]
    return options


def _parts(names: str) -> tuple[str, ...]:
    parts = tuple(names.split(","))
    if unknown := ", ".join(set(parts) - set(PARTS)):
        raise argparse.ArgumentTypeError(f"there is no {unknown}; there is: {', '.join(PARTS)}")
    return parts


def _rounds(
    folder: Path, chosen: scene.Pictures, options: argparse.Namespace
) -> list[dict[str, Summary | Figures]]:
    with ExitStack() as stack:
        ours = stack.enter_context(gatewatch(folder / "ours"))
        wanted = "peers" in options.only
        others = peers.serve(stack, chosen.fit[:PEER_PICTURES], folder) if wanted else {}
        total = steps(options.only, len(others)) * options.rounds
        bar = stack.enter_context(tqdm(total=total, unit="load"))

        def say(name: str) -> None:
            bar.set_description(name)
            bar.update()

        bar.set_description("learn")
        _learn(ours, folder, chosen)
        sent = [str(path) for path in chosen.score]
        plan = stages.Plan(sent, str(folder / "ours" / "data"), scene.NAME, options.seconds)
        fitted = scene.uploads(chosen.fit)
        bench = Bench(ours, others, options.only, sent, fitted, plan, options.seconds, say)
        rounds = [bench.round(number) for number in range(options.rounds)]
        if options.soak:
            bar.set_description(soak.NAME)
            rate = SHARES[-1] * capacity(medians(rounds))
            rounds[0][soak.NAME] = soak.measured(ours, sent, rate, options.soak)
        return rounds


def _learn(ours: Server, folder: Path, chosen: scene.Pictures) -> None:
    scene.learn(ours, scene.NAME, chosen)
    if (engine := scene.wait_for_engine(ours)) != "onnx":
        log = (folder / "ours" / "server.log").read_text()
        raise SystemExit(f"{log[-LOG_TAIL:]}\npictures are seen by {engine}, not by onnx")


if __name__ == "__main__":
    main()
