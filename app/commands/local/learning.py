"""Detectors and what they learn, in the words of the client."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.commands.common import Files, answer, name_of
from app.commands.lines import line_of
from app.commands.local.base import Base, LocalJob, by
from app.intake.grouping import Grouping
from app.intake.local_images import LocalImages
from app.learning import calibrating, fitting
from app.learning.collecting import Progress
from app.learning.order import Order
from app.schemas.detectors import DetectorInfo
from app.schemas.learning import Calibrated, Fitted, Forgotten
from app.schemas.thresholds import DrawnThreshold, Threshold
from detector.options import Options
from detector.spec import Mask as MaskKind
from gatewatch import answers

R = TypeVar("R")


class Learning(Base):
    """Create, fit, extend, forget, calibrate; the threshold."""

    def create(
        self,
        name: str,
        *,
        mask: NDArray[np.uint8] | Literal["request"] | None,
        options: Mapping[str, Any] | None = None,
        reason: str,
        **what: Any,
    ) -> answers.DetectorInfo:
        """Create a detector; what is left out is as by default."""
        if options is not None:
            what["options"] = Options(**options)
        kind: MaskKind = "none" if mask is None else "request" if isinstance(mask, str) else "fixed"
        fixed = None if isinstance(mask, str) else mask
        made = self._service.catalogue.create(name, by(reason), mask=fixed, mask_kind=kind, **what)
        return answer(answers.DetectorInfo, DetectorInfo.of(made.entry))

    def fit(
        self, name: str, images: Files, *, base: int | None, reason: str, **how: Any
    ) -> LocalJob[answers.Fitted]:
        """Fit to normal images, in place of what was fitted."""
        return self._fit(name, self._sent(name, images, **how), base, reason, extend=False)

    def extend(
        self, name: str, images: Files, *, base: int | None, reason: str, **how: Any
    ) -> LocalJob[answers.Fitted]:
        """Fit to normal images, in addition to what was fitted."""
        return self._fit(name, self._sent(name, images, **how), base, reason, extend=True)

    def _fit(
        self, name: str, images: LocalImages, base: int | None, reason: str, *, extend: bool
    ) -> LocalJob[answers.Fitted]:
        async def work(order: Order) -> answers.Fitted:
            learned = await fitting.fit(self._service, name, images, order, extend=extend)
            return answer(answers.Fitted, Fitted.of(learned))

        return self._job(work, len(images), base, reason)

    def calibrate(
        self,
        name: str,
        images: Files,
        *,
        threshold: answers.NewThreshold,
        base: int | None,
        reason: str,
        **how: Any,
    ) -> LocalJob[answers.Calibrated]:
        """Score normal images that were not fitted, and draw the line."""
        sent, line = self._sent(name, images, **how), line_of(threshold)

        async def work(order: Order) -> answers.Calibrated:
            learned = await calibrating.calibrate(self._service, name, sent, order, line)
            return answer(answers.Calibrated, Calibrated.of(learned))

        return self._job(work, len(sent), base, reason)

    def forget(
        self,
        name: str,
        *,
        sha256: Sequence[str],
        groups: Sequence[str],
        base: int | None,
        reason: str,
    ) -> LocalJob[answers.Forgotten]:
        """Take images out of what was fitted, exactly."""

        async def work(order: Order) -> answers.Forgotten:
            learned = await fitting.forget(
                self._service, name, order, digests=sha256, groups=groups
            )
            return answer(answers.Forgotten, Forgotten.of(learned))

        return self._job(work, 0, base, reason)

    def threshold(self, name: str) -> answers.Threshold:
        """Return where the line in service is drawn."""
        version = self._service.catalogue.with_threshold(name, None).version
        return answer(answers.Threshold, Threshold.of(version.version, version.summary))

    def set_threshold(
        self, name: str, threshold: answers.NewThreshold, *, base: int | None, reason: str
    ) -> answers.DrawnThreshold:
        """Draw another line, which makes a new version."""
        stored = self._service.set_threshold(name, by(reason), line_of(threshold), base=base)
        return answer(answers.DrawnThreshold, DrawnThreshold.by(stored))

    def _job(
        self,
        work: Callable[[Order], Awaitable[R]],
        images: int,
        base: int | None,
        reason: str,
    ) -> LocalJob[R]:
        def run(progress: Progress, expect: Progress) -> R:
            order = Order(by(reason), uuid.uuid4().hex, base=base, progress=progress, expect=expect)
            return self._wait(work(order))

        return LocalJob(run, images)

    def _sent(
        self,
        name: str,
        images: Files,
        *,
        groups: Mapping[str, str] | None,
        mask: bytes | None,
        anomalies: Files = (),
    ) -> LocalImages:
        return LocalImages.of(
            [path for _, path in images],
            mask=mask,
            grouping=Grouping(named=groups or {}),
            anomalies=[path for _, path in anomalies],
            called=name_of,
            kind=self._kind(name),
        )
