"""Run the service on planted defects and show what it finds: ``python -m demo``."""

import io
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image
from rich.console import Console
from tqdm import tqdm

from demo import report, scenes
from demo.service import ROOT, DemoError, Seen, Service, Upload, running

OUTPUT = ROOT / "demo-output"
DETECTOR, TARGET = "brick-demo", 0.05
TRAIN, CALIBRATION, GOOD, PER_DEFECT = 120, 99, 12, 2
# Seeds of the sets; apart, so that no draw serves twice.
FIRST_SEED = {"train": 0, "calibration": 10_000, report.GOOD: 20_000, "defects": 30_000}
REQUIRED_KINDS = 5

Picture = tuple[scenes.Scene, Upload]


def _saved(scene: scenes.Scene, folder: str, index: int) -> Picture:
    """Write a scene to the output folder as PNG; return it with the upload of the same bytes."""
    name = f"{folder}-{index:03d}.png"
    buffer = io.BytesIO()
    Image.fromarray(scene.picture).save(buffer, "png", compress_level=3)
    path = OUTPUT / "images" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return scene, (name, buffer.getvalue())


def _sound(folder: str, count: int) -> list[Picture]:
    seeds = range(FIRST_SEED[folder], FIRST_SEED[folder] + count)
    progress = tqdm(seeds, desc=f"{folder} pictures", unit=" images")
    return [_saved(scenes.scene(report.GOOD, seed), folder, seed % 1000) for seed in progress]


def _defective() -> list[Picture]:
    """Return one of every kind, then another of every kind, as the poster's rows show them."""
    draws = [(index, kind) for index in range(PER_DEFECT) for kind in scenes.KINDS]
    return [
        _saved(scenes.scene(kind, FIRST_SEED["defects"] + draw), kind.replace(" ", "-"), index)
        for draw, (index, kind) in enumerate(draws)
    ]


@contextmanager
def _bar(what: str, total: int) -> Iterator[Seen]:
    """Show how many images of a job are done."""
    with tqdm(total=total, desc=what, unit=" images") as bar:
        yield lambda done: bar.update(done - bar.n)


def _score(service: Service, pictures: Iterable[Picture]) -> list[report.Scored]:
    results = []
    for scene, (name, content) in tqdm(list(pictures), desc="score", unit=" images"):
        found, request_ms = service.score(DETECTOR, content)
        score, threshold, p_value = (
            float(found[field]) for field in ("score", "threshold", "p_value")
        )
        painted = service.map(DETECTOR, content)
        with Image.open(io.BytesIO(painted)) as overlay:
            picture = np.asarray(overlay)
        (OUTPUT / "maps").mkdir(exist_ok=True)
        (OUTPUT / "maps" / name).write_bytes(painted)
        results.append(
            report.Scored(
                name=name,
                kind=scene.kind,
                picture=picture,
                score=score,
                threshold=threshold,
                p_value=p_value,
                verdict=str(found["verdict"]),
                request_ms=request_ms,
            )
        )
    return results


def _show(console: Console, results: list[report.Scored]) -> int:
    """Print the tables and write the poster; return how many kinds rank above all good ones."""
    console.print(report.table(results), report.summary(results), sep="\n")
    above = sum(report.ranked_above(results, kind) for kind in scenes.KINDS)
    area = report.auroc(results)
    poster = OUTPUT / "demo.png"
    heading = f"gatewatch: {above} of {len(scenes.KINDS)} kinds of defect above every good picture"
    report.poster(results, f"{heading}, AUROC {area:.3f}").save(poster)
    console.print(f"AUROC of these {len(results)} images: {area:.3f}", highlight=False)
    console.print(f"{above} of {len(scenes.KINDS)} kinds of defect rank above every good picture.")
    console.print(f"All pictures with their verdicts and odd places: {poster.relative_to(ROOT)}")
    return above


def _next_steps(console: Console) -> None:
    url = "http://127.0.0.1:8000"
    lines = (
        "To go on with this detector:",
        "  GATEWATCH_DATA_DIR=demo-output/data make serve",
        f"  API documentation: {url}/docs",
        f"  curl -H 'Content-Type: image/png' {url}/v1/detectors/{DETECTOR}/score \\",
        "    --data-binary @demo-output/images/scratch/scratch-000.png",
        "To make one from a folder: .venv/bin/gatewatch fit my-detector demo-output/images/train",
    )
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def demonstrate(console: Console) -> int:
    """Run it all; return the process's exit status."""
    with running(OUTPUT) as service:
        # The service loads its network meanwhile.
        train, calibration = _sound("train", TRAIN), _sound("calibration", CALIBRATION)
        scored = _sound(report.GOOD, GOOD) + _defective()
        with console.status("waiting for the service to be ready"):
            service.wait_until_ready()
        console.print(f"The service is ready at {service.url}.", highlight=False)
        service.create(DETECTOR)
        with _bar("fit", TRAIN) as seen:
            fit_ms = service.fit(DETECTOR, [upload for _, upload in train], seen)
        with _bar("calibrate", CALIBRATION) as seen:
            uploads = [upload for _, upload in calibration]
            threshold, calibrate_ms = service.calibrate(DETECTOR, uploads, TARGET, seen)
        console.print(
            f"Fitted on {TRAIN} images, {fit_ms / TRAIN:.0f} ms each; calibrated on {CALIBRATION}, "
            f"{calibrate_ms / CALIBRATION:.0f} ms each. {threshold['statement']}",
            highlight=False,
        )
        results = _score(service, scored)
    above = _show(console, results)
    _next_steps(console)
    return 0 if above >= REQUIRED_KINDS else 1


def main() -> int:
    """Run the demonstration for a person at a terminal."""
    # Ended by SIGTERM, too, the demonstration has to unwind and stop its service.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console()
    try:
        return demonstrate(console)
    except DemoError as error:
        console.print(
            f"The demonstration failed. {error}", style="red", markup=False, soft_wrap=True
        )
        return 2
    except KeyboardInterrupt:
        console.print("Interrupted; the service has been stopped.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
