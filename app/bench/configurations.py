"""Configurations: which descriptor, scorer and options take part, and how they are written."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from app.bench.layouts import BenchError
from app.commands import option_text
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
        f"{key}={'+'.join(value) if isinstance(value, tuple) else str(value).lower()}"
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
        specs.append(
            replace(
                default,
                descriptor=descriptor,
                scorer=scorer,
                options=option_text.parse(options.split(",") if options else []),
            )
        )
    return specs


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
