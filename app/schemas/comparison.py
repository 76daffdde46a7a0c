"""How far a batch as a whole is from what was fitted."""

from dataclasses import asdict

from app.results import Compared
from app.schemas.base import Body
from app.schemas.learning import RejectedImage
from detector.divergence import Divergence


class BlockDivergence(Body):
    """Kullback-Leibler divergence of a batch from what was fitted, in nats; parts sum to kl."""

    rows: int
    directions: int
    """Leading principal directions compared."""
    kl: float
    null: float
    """Mean of kl when nothing has changed."""
    excess: float
    """kl - null: near 0 when nothing has changed."""
    mean: float
    scale: float
    correlation: float

    @classmethod
    def of(cls, divergence: Divergence) -> "BlockDivergence":
        """Return its form."""
        return cls(**asdict(divergence), kl=divergence.kl, excess=divergence.excess)


class Comparison(Body):
    """How far a batch as a whole is from what was fitted."""

    detector: str
    version: int
    images: int
    """Images used."""
    excess: float
    """Sum over blocks, in nats; near 0 when nothing has changed."""
    blocks: dict[str, BlockDivergence]
    rejected: list[RejectedImage]

    @classmethod
    def of(cls, compared: Compared) -> "Comparison":
        """Return its form."""
        return cls(
            detector=compared.detector,
            version=compared.version,
            images=compared.images,
            excess=sum(each.excess for each in compared.divergences.values()),
            blocks={name: BlockDivergence.of(d) for name, d in compared.divergences.items()},
            rejected=[RejectedImage.of(item) for item in compared.rejected],
        )
