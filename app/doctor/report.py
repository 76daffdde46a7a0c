"""What was found, for a person to read, for a program, and as an environment file."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.table import Table

from app.doctor.advice import Stage
from app.doctor.examination import Found
from app.doctor.others import BUSY

BOUND: dict[Stage, str] = {
    "decode": "decode-bound: faster cores, or smaller pictures",
    "engine": "engine-bound: faster or more cores, a GPU, or a smaller image_size",
    "judge": "judge-bound: a scorer that costs less, such as gaussian",
    "http": "HTTP-bound: several servers behind one address",
    "event loop": "bound by the event loop, one thread: several servers behind one address",
}


def tables(found: Found) -> Iterable[Table]:
    """Return the tables: engines, kinds of pictures, settings."""
    engines = Table(title=f"Engines on {found.cores} core(s), device {found.device}")
    for heading in ("engine", "passes x threads", "batch", "images/s"):
        engines.add_column(heading, justify="left" if heading == "engine" else "right")
    for point in found.points:
        layout = f"{point.lanes} x {point.threads}"
        engines.add_row(point.engine, layout, str(point.batch), f"{point.images_per_s:.1f}")
    for name, why in found.missing.items():
        engines.add_row(name, "-", "-", why)
    yield engines
    kinds = Table(title="What an image costs, ms of a core, and the roof")
    for heading in ("picture", "decode", "engine", "judge", "HTTP", "roof, images/s", "share"):
        kinds.add_column(heading, justify="left" if heading == "picture" else "right")
    for kind, cost in found.costs.items():
        roof = found.roofs[kind]
        on_core_s = (cost.decode_s, found.cores / cost.engine_per_s, cost.judge_s, cost.http_s)
        shares = max(roof.shares.items(), key=lambda share: share[1])
        kinds.add_row(
            kind,
            *(f"{1e3 * seconds:.2f}" for seconds in on_core_s),
            f"{roof.images_per_s:.1f}",
            f"{shares[0]} {shares[1]:.0%}",
        )
    yield kinds
    settings = Table(title="Settings that fit")
    for heading in ("variable", "value", "why"):
        settings.add_column(heading)
    for item in found.advice:
        settings.add_row(item.variable, item.value, item.reason)
    yield settings


def warning(found: Found) -> str | None:
    """Return what is to be known before anything else of figures that are not to be trusted."""
    if max(found.others.values(), default=0.0) < BUSY:
        return None
    return (
        f"not to be trusted: {_others(found)}. The figures, and the settings that follow from "
        "them, may be far off: repeat it on a quiet machine."
    )


def _others(found: Found) -> str:
    if not found.others:
        return "what others took of the cores is not known: nothing counts it here"
    step, share = max(found.others.items(), key=lambda each: each[1])
    return f"others took at most {share:.0%} of the cores (while it measured {step})"


def lines(found: Found) -> Iterable[str]:
    """Return the bottleneck of each kind of picture, what was achieved, what others took."""
    for kind, roof in found.roofs.items():
        yield f"{kind}: at most {roof.images_per_s:.0f} images/s, {BOUND[roof.bottleneck]}"
    load, kind = found.load, next(iter(found.roofs))
    yield (
        f"{kind}, over HTTP, {load.clients} clients on the same cores: {load.images_per_s:.0f} "
        f"images/s, p50 {load.p50_ms:.0f} ms, p99 {load.p99_ms:.0f} ms"
    )
    yield _others(found)


def as_json(found: Found) -> dict[str, Any]:
    """Return everything, for a program."""
    return asdict(found)


def environment_file(found: Found) -> str:
    """Return the settings as lines that shells and Docker Compose's env_file read."""
    parts = ["# Made by gatewatch doctor for this machine; each setting after its reason.\n"]
    parts.append(f"# {warning(found) or _others(found)}\n")
    parts += [f"# {item.reason}\n{item.variable}={item.value}\n" for item in found.advice]
    return "".join(parts)
