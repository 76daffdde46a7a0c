"""Measure every kind: ``python -m benchmarks.kinds SHARED_DATA --out OUT [--kind audio]``."""

from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from tqdm import tqdm

from benchmarks.kinds.contest import contest
from benchmarks.kinds.report import write
from benchmarks.serving import processes
from gatewatch import Client

KINDS = ("audio", "video", "graph", "sequence", "image_text")


def main(
    shared: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="Folder of the report.")],
    kind: Annotated[list[str] | None, typer.Option(help="Of the kinds these alone.")] = None,
) -> None:
    """Fit and score every set of every kind through a server, and by the baselines."""
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        work = Path(folder)
        modules = [import_module(f"benchmarks.kinds.{name}") for name in kind or KINDS]
        sets = [(each, path) for each in modules for path in each.sets(shared, work / each.KIND)]
        outcomes = []
        with processes.gatewatch(work / "server", training_seconds="600") as server:
            client = Client(f"http://127.0.0.1:{server.port}")
            for module, path in tqdm(sets, unit="set"):
                outcomes.append(contest(client, module.KIND, path, module.baseline))
                write(outcomes, out)  # what was measured stays, whatever comes
    typer.echo(write(outcomes, out))


if __name__ == "__main__":
    typer.run(main)
