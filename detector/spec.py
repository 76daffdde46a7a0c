"""What a detector is before it has seen an image."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from detector.descriptors import REGIONAL
from detector.errors import InvalidSpecError
from detector.kinds import DEFAULT_KIND, learned_kind
from detector.options import Options
from detector.scorers import DEFAULT_SCORER, SCORERS

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"  # part of a file name, and of a URL
MIN_IMAGE_SIZE, DEFAULT_IMAGE_SIZE, MAX_IMAGE_SIZE = 64, 256, 1024

Mask = Literal["none", "fixed", "request"]
"""Whether all of an image counts, what one mask says, or what a mask sent with it says."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Name, kind of data, backbone, descriptor, scorer and how they are used.

    Of a kind whose network learns from normal samples the backbone's fingerprint is empty until it
    has, and ``view`` says how samples are looked at; image size and mask are of images alone.

    Raises:
        InvalidSpecError: if name, kind, scorer, descriptor, image size, mask or view is not one
            that exists.
    """

    name: str
    backbone: str
    backbone_fingerprint: str
    scorer: str = DEFAULT_SCORER
    descriptor: str = ""
    image_size: int = DEFAULT_IMAGE_SIZE
    mask: Mask = "none"
    options: Options = field(default_factory=Options)
    kind: str = DEFAULT_KIND
    view: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def plain(self) -> dict[str, Any]:
        """Return plain values, of which ``of`` makes it again; of images as they always were."""
        values = asdict(self)
        if self.kind == DEFAULT_KIND:
            del values["kind"], values["view"]
        return values

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Spec":
        """Return what ``plain`` has made plain values of. Raises TypeError for others."""
        return cls(**{**values, "options": Options(**values["options"])})

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name):
            raise InvalidSpecError(f"the name {self.name!r} does not match {NAME}")
        if self.scorer not in SCORERS:
            raise InvalidSpecError(f"no scorer {self.scorer!r}; there is: {', '.join(SCORERS)}")
        known = SCORERS[self.scorer].descriptors
        if not self.descriptor:
            object.__setattr__(self, "descriptor", known[0])
        if self.descriptor not in known:
            raise InvalidSpecError(
                f"scorer {self.scorer!r} has no descriptor {self.descriptor!r}; "
                f"there is: {', '.join(known)}"
            )
        if not MIN_IMAGE_SIZE <= self.image_size <= MAX_IMAGE_SIZE:
            bounds = f"{MIN_IMAGE_SIZE} to {MAX_IMAGE_SIZE}"
            raise InvalidSpecError(f"image_size must be {bounds} px, got {self.image_size}")
        if self.mask not in get_args(Mask):
            raise InvalidSpecError(f"no mask {self.mask!r}; there is: {', '.join(get_args(Mask))}")
        self._check_kind()

    def _check_kind(self) -> None:
        kind = learned_kind(self.kind)
        if kind is None:
            if self.view:
                raise InvalidSpecError(f"kind {self.kind!r} has no view: it has an image_size")
            return
        object.__setattr__(self, "view", asdict(kind.view(self.view)))
        odd = {
            "mask": self.mask != "none",
            "image_size": self.image_size != DEFAULT_IMAGE_SIZE,
            "options.flips": self.options.flips,
            "options.memory": self.options.memory > 0,
        }
        if any(odd.values()):
            named = ", ".join(name for name, is_set in odd.items() if is_set)
            raise InvalidSpecError(f"kind {self.kind!r} has no {named}: it is of images alone")
        if SCORERS[self.scorer].regional or self.descriptor == REGIONAL:
            raise InvalidSpecError(
                f"scorer {self.scorer!r} with descriptor {self.descriptor!r} looks at places of "
                f"images: for kind {self.kind!r} use scorer {kind.scorer}"
            )
