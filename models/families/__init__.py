"""SE networks by family: convolutional ones for images, and networks for other data.

``FAMILIES`` holds a small member of each; a new family is a file and a line here.
"""

from models.families import (
    audio,
    efficientnet,
    graph,
    image_text,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
    sequence,
    vgg,
    video,
)
from models.families.family import Family

FAMILIES: tuple[Family, ...] = (
    vgg.FAMILY,
    *resnet.FAMILIES,
    mobilenet_v2.FAMILY,
    mobilenet_v3.FAMILY,
    efficientnet.FAMILY,
    *video.FAMILIES,
    audio.FAMILY,
    *graph.FAMILIES,
    sequence.FAMILY,
    *image_text.FAMILIES,
)
