"""Recipe: what of a spec decides which rows of an embedding are looked at.

Detectors of one recipe look at the same rows, which are made once for all of them.
"""

from dataclasses import dataclass, replace

import numpy as np

from detector import descriptors
from detector.descriptors import REGIONAL
from detector.embedding import Embedding
from detector.options import Options
from detector.rows import Rows
from detector.scorers import SCORERS
from detector.spec import Spec


@dataclass(frozen=True, slots=True)
class Recipe:
    """A descriptor with those options that make rows; and whether regional rows come on top."""

    descriptor: str
    options: Options
    regional: bool

    @classmethod
    def of(cls, spec: Spec) -> "Recipe":
        """Return the recipe of a detector."""
        options = Options(normalise=spec.options.normalise, blocks=spec.options.blocks)
        return cls(spec.descriptor, options, SCORERS[spec.scorer].regional)

    def rows(self, embedding: Embedding) -> Rows:
        """Return the rows of some images.

        Raises:
            InvalidSpecError: if the options name a block that the backbone does not have.
        """
        blocks = descriptors.rows(embedding, self.descriptor, self.options)
        if self.regional:
            if not self.options.blocks:
                blocks = descriptors.beyond(blocks, embedding)
            everywhere = replace(self.options, blocks=())
            blocks = {**blocks, **descriptors.rows(embedding, REGIONAL, everywhere)}
        squeeze = np.concatenate(list(embedding.mean.values()), axis=1)
        return Rows(blocks, squeeze, embedding.thumbnail, embedding.inputs)
