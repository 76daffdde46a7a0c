"""How the rows of a detector are made and modelled: what is sent to create one, and shown of it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Options:
    """How rows are made and modelled; docs/ablation.md says what each is worth."""

    normalise: str = "none"
    """Of image-level rows: by their length, or by each channel's fitted standard deviation."""
    blocks: list[str] = field(default_factory=list)
    """Blocks of the backbone that are looked at; empty for all (GET /v1/info names them)."""
    covariance: str = "full"
    """Of the image-level Gaussian."""
    aligned: bool = True
    """Whether each place has its own mean, and every four neighbours their covariance; false for
    parts that lie anyhow."""
    memory: int = 0
    """Regional rows kept as nearest-neighbour memory in place of the regional Gaussians."""
    flips: bool = False
    """Whether fitting also sees every image mirrored; four times the work."""
    evidence: int = 64
    """Fitted images whose thumbnails are kept, to show the nearest; 0 for none."""
