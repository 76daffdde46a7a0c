"""Configurations: which descriptor, scorer and options take part, and how they are written."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from app.bench.layouts import BenchError
from detector.options import Options
from detector.scorers import SCORERS
from detector.spec import Spec


@dataclass(frozen=True, slots=True)
class Configuration:
    """Which statistics on which backbone; ``default`` is what the service does unless told."""

    backbone: str
    descriptor: str
    scorer: str
    options: str = ""
    default: bool = False

    @property
    def label(self) -> str:
        """Name in tables and plots."""
        name = self.scorer if self.descriptor == "-" else f"{self.descriptor}/{self.scorer}"
        return f"{name}:{self.options}" if self.options else name


def describe(spec: Spec, default: Spec | None) -> Configuration:
    """Return how a spec is named; it is the default if it equals ``default``."""
    usual = asdict(Options())
    changed = {key: value for key, value in asdict(spec.options).items() if value != usual[key]}
    options = ",".join(
        f"{key}={'+'.join(value) if isinstance(value, tuple) else value}"
        for key, value in changed.items()
    )
    return Configuration(spec.backbone, spec.descriptor, spec.scorer, options, spec == default)


def wanted(default: Spec, written: Sequence[str]) -> list[Spec]:
    """Return the specs of ``descriptor/scorer:key=value,key=value``.

    Raises:
        BenchError: if one is not of that form.
        InvalidSpecError: if what it names does not exist.
    """
    specs = []
    for text in dict.fromkeys(written):
        kind, _, options = text.partition(":")
        descriptor, slash, scorer = kind.partition("/")
        if not (descriptor and slash and scorer):
            raise BenchError(
                f"{text!r} is no configuration: write descriptor/scorer[:key=value,..]"
            )
        changes = _options(options) if options else {}
        specs.append(
            replace(
                default,
                descriptor=descriptor,
                scorer=scorer,
                options=replace(default.options, **changes),
            )
        )
    return specs


def _options(text: str) -> dict[str, Any]:
    """Return options written ``key=value,key=value``; several blocks are joined by ``+``."""
    kinds: dict[str, Callable[[str], Any]] = {
        "normalise": str,
        "covariance": str,
        "blocks": lambda value: tuple(value.split("+")),
        "aligned": lambda value: value == "True",
        "flips": lambda value: value == "True",
        "memory": int,
        "evidence": int,
    }
    changes = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if key not in kinds or not equals:
            raise BenchError(f"{part!r} is no option; there is: {', '.join(kinds)}, as key=value")
        changes[key] = kinds[key](value)
    return changes


def existing(default: Spec) -> list[Spec]:
    """Return every scorer with every descriptor it takes; fusion with its own alone."""
    specs = [default]
    for scorer, kind in SCORERS.items():
        descriptors = kind.descriptors[:1] if kind.regional else kind.descriptors
        for descriptor in descriptors:
            spec = replace(default, descriptor=descriptor, scorer=scorer)
            if spec not in specs:
                specs.append(spec)
    return specs
