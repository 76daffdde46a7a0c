"""The names of the backbones against what can be built."""

from detector.backbones import BACKBONES
from models import backbone


def test_every_backbone_is_named() -> None:
    """Contract: the light list and the table of those that build them, in the same order."""
    assert tuple(backbone.BACKBONES) == BACKBONES
