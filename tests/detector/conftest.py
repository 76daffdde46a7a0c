"""A normal state seen through the real backbone, and the detectors fitted to it."""

from collections.abc import Iterator

import numpy as np
import pytest
from embedding_helpers import Scene, embed_all, select
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from detector.detector import Detector
from detector.embedder import Embedder
from detector.scorers import SCORERS
from detector.spec import Spec

SIDE_PX = 64


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread() -> Iterator[None]:
    """Keep small matrices on one thread, where they are fast and give the same bits each time."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(scope="session")
def scene(
    embedder: Embedder, texture: list[NDArray[np.uint8]], photographs: list[NDArray[np.uint8]]
) -> Scene:
    """Crops of gravel: 30 to fit, 10 to extend, 25 to calibrate, 15 new; and four photographs."""
    gravel = embed_all(embedder, texture, SIDE_PX)
    return Scene(
        fit=select(gravel, range(30)),
        more=select(gravel, range(30, 40)),
        calibration=select(gravel, range(40, 65)),
        fresh=select(gravel, range(65, 80)),
        anomalous=embed_all(embedder, photographs, SIDE_PX),
    )


@pytest.fixture(scope="session", params=list(SCORERS))
def created(request: pytest.FixtureRequest, embedder: Embedder) -> Detector:
    """A detector that has seen nothing, one per scorer."""
    return Detector(Spec("gravel", embedder.name, embedder.fingerprint, request.param, "", SIDE_PX))


@pytest.fixture(scope="session")
def fitted(created: Detector, scene: Scene) -> Detector:
    """A detector fitted to thirty crops."""
    return created.learn(created.statistics_of(scene.fit), extend=False)


@pytest.fixture(scope="session")
def calibrated(fitted: Detector, scene: Scene) -> Detector:
    """A detector with the threshold of a false-alarm rate of ten per cent."""
    return fitted.calibrate(fitted.contributions(scene.calibration), 0.1)
