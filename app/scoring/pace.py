"""What has been learned of the device: how many images it takes at once, and how fast.

Several lanes tell it what they saw. That one's word may be lost to another's at the same moment
does no harm: the next pass says it again.
"""

PASSES_BEFORE_MORE = 100
"""Passes that must succeed before a batch that did not fit into memory is tried again."""
SMOOTHING = 0.2


class Pace:
    """Largest batch and time of an image, as they are now."""

    def __init__(self, max_batch: int, lanes: int = 1) -> None:
        self.most = max_batch
        self._lanes = lanes
        self._max_batch = max_batch
        self._passes = 0
        self._image_s = 0.0

    def ran_out(self, images: int) -> None:
        """Take half as many from now on: so many did not fit into the device's memory."""
        self.most = max(1, min(self.most, images // 2))
        self._passes = 0

    def passed(self) -> None:
        """Take twice as many again after enough passes: somebody else may have used the memory."""
        self._passes += 1
        if self._passes >= PASSES_BEFORE_MORE and self.most < self._max_batch:
            self.most = min(2 * self.most, self._max_batch)
            self._passes = 0

    def took(self, images: int, seconds: float, *, followed: bool) -> None:
        """Learn from a batch that left others waiting; from one that did not, only to be faster.

        On a GPU an image alone takes nearly as long as a full batch: the time of lone images would
        make a queue look many times as long as it is. But no queue is slower than they are.
        """
        # While it took and others waited, the other lanes worked as well.
        each = seconds / images / (self._lanes if followed else 1)
        if not followed and each >= self._image_s:
            return
        self._image_s += (SMOOTHING if self._image_s else 1.0) * (each - self._image_s)

    def seconds(self, images: int) -> float:
        """Return how long a queue of so many images takes; 0 as long as nobody had to wait."""
        return images * self._image_s
