"""The driver of a fit on Ray as a process: it says what was counted, and may be killed."""

import json
import sys
from pathlib import Path
from typing import Any

import ray

from app.bulk.fragments import Shard
from app.bulk.listing import fragments
from app.bulk.plan import HoldOut
from app.bulk.sources import How
from app.bulk.work import Work
from app.ray import fit
from app.ray.fit_cluster import Cluster
from app.settings import Settings
from detector.detector import Detector
from detector.embedder import Embedder
from detector.options import Options
from detector.spec import Spec

SIDE_PX = 64
SETTINGS: dict[str, Any] = {"device": "cpu", "engine": "torch", "max_batch": 1}
"""One image in each pass: its embedding is the same to the last bit, whoever makes it."""


def detector_of(embedder: Embedder, fingerprint: str = "", **options: Any) -> Detector:
    """Return what is fitted."""
    spec = Spec(
        "bolts",
        embedder.name,
        fingerprint or embedder.fingerprint,
        image_size=SIDE_PX,
        options=Options(**options),
    )
    return Detector(spec)


def main() -> None:
    """Run what the arguments ask for."""
    asked = json.loads(sys.argv[1])
    settings = Settings(**SETTINGS, data_dir=asked["data"])
    embedder = Embedder.load("se-lite0", "cpu", engine="torch")
    fit.CHUNK_IMAGES, fit.PART_CHUNKS = asked.get("chunk", 8), asked.get("chunks", 2)
    fit.KEPT_EVERY_S, fit.SHARE_KEEPING = asked.get("kept_every_s", 0.0), 1.0
    listed = fragments(asked["sources"])
    work = Work(listed, Shard(), How(), Path(asked["kept"]))
    try:
        fit.run(
            work,
            detector_of(embedder, asked.get("fingerprint", "")),
            HoldOut(**asked["hold_out"]),
            preparer=embedder.preparer,
            settings=settings,
            cluster=Cluster(asked["address"], 2, 1),
            progress=lambda images: print("counted", images, flush=True),
        )
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        sys.exit(3)


def serve() -> None:
    """Be a cluster of this machine's until standard input ends; say where."""
    ray.init(
        "local",
        num_cpus=3,
        include_dashboard=False,
        object_store_memory=300_000_000,
        log_to_driver=False,
    )
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
    ray.shutdown()


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else main()
