"""Train the gates of SE-Lite0 on a folder of photographs: ``python -m models.train_gates POOL``.

Seeded and resumable: run the same command again after an interruption. Progress is a bar; the log
is ``log.csv`` in the run's folder. At the end the gates and their digest are written to ``--out``.
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from tqdm import tqdm

from models.checkpoints import GATES_FILE, save_gates
from models.gate_training import GateTrainer, is_held_out, read_pool
from models.se_lite0 import lite0, se_lite0

WriteRow = Callable[[Sequence[object]], object]
SUFFIXES = {".jpg", ".jpeg", ".png"}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command's options."""
    parser = argparse.ArgumentParser(prog="python -m models.train_gates", description=__doc__)
    parser.add_argument("pool", type=Path, help="folder of photographs, searched recursively")
    parser.add_argument("--run", type=Path, default=Path("runs/se_lite0"), help="log, checkpoint")
    parser.add_argument("--out", type=Path, default=GATES_FILE, help="where the gates are written")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--side", type=int, default=160, help="pixels")
    parser.add_argument("--rate", type=float, default=4e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Read the pool, train (or go on training), evaluate, write the gates."""
    options = parse(arguments)
    files = sorted(f for f in options.pool.rglob("*") if f.suffix.lower() in SUFFIXES)
    train_files = [file for file in files if not is_held_out(file)]
    held_out_files = [file for file in files if is_held_out(file)]
    if len(train_files) < options.batch or not held_out_files:
        sys.exit(f"{options.pool} holds {len(files)} images: too few to train and validate on")
    train, held_out = (read_pool(fs, options.side) for fs in (train_files, held_out_files))
    torch.manual_seed(options.seed)  # a gate's first map begins at random
    trainer = GateTrainer(
        lite0(),
        se_lite0(trained=False),
        train,
        seed=options.seed,
        batch=options.batch,
        steps=options.epochs * (len(train) // options.batch),
        rate=options.rate,
    )
    checkpoint = options.run / "checkpoint.pt"
    if checkpoint.exists():
        try:
            trainer.resume(checkpoint)
        except ValueError as error:
            sys.exit(f"{error}: repeat its options, or choose another --run")
    options.run.mkdir(parents=True, exist_ok=True)
    with (options.run / "log.csv").open("a", buffering=1, newline="") as log:
        train_all(trainer, checkpoint, csv.writer(log).writerow, options.every)
    gated, ungated = trainer.evaluate(held_out)
    report = {
        "seed": options.seed,
        "epochs": options.epochs,
        "images": len(train),
        "held_out_images": len(held_out),
        "side_px": options.side,
        "torch": torch.__version__,
        "error_ratio": round(float((gated / ungated).mean()), 4),
        "error_ratio_per_block": [round(float(r), 4) for r in gated / ungated],
    }
    (options.run / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    digest = save_gates(trainer.gated, options.out, {"training": json.dumps(report)})
    print(f"error on corrupted held-out images: {report['error_ratio']} of the ungated trunk's")
    print(f"{options.out}  SHA-256 {digest}")


def train_all(trainer: GateTrainer, checkpoint: Path, write_row: WriteRow, every: int) -> None:
    """Train to the last step; the next batch is prepared while the current one is learned."""
    losses: list[float] = []
    with (
        ThreadPoolExecutor(1) as loader,
        tqdm(total=trainer.steps, initial=trainer.step, unit="step") as bar,
    ):
        coming = loader.submit(trainer.pair, trainer.step)
        while trainer.step < trainer.steps:
            pair = coming.result()
            coming = loader.submit(trainer.pair, trainer.step + 1)
            losses.append(trainer.train_step(pair))
            bar.set_postfix(loss=f"{losses[-1]:.4f}")
            bar.update()
            if trainer.step % every == 0 or trainer.step == trainer.steps:
                write_row([trainer.step, f"{sum(losses) / len(losses):.5f}"])
                losses.clear()
                trainer.save(checkpoint)


if __name__ == "__main__":
    main()
