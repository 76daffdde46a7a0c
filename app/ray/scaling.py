"""How many device replicas there should be: as many as the images that wait for one need."""

from typing import Any

from ray.serve.config import AutoscalingContext

IMAGES = "images"
"""What a device replica says of itself: images on it, waiting or under way."""


def by_images(context: AutoscalingContext) -> tuple[float, dict[str, Any]]:
    """Return how many replicas have ``target_ongoing_requests`` images each.

    Calls carry several images, so that Serve's own count of calls would say less. Limits, delays
    and smoothing are applied by Serve to what is returned here.
    """
    assert context.config is not None  # it is who asks
    told = (context.aggregated_metrics or {}).get(IMAGES, {})
    return sum(told.values()) / context.config.get_target_ongoing_requests(), {}
