"""Pictures of a benchmark: ROC curves, score histograms, the worst errors, example maps.

matplotlib takes a second to import and is needed here only, so it is imported when a plot is drawn.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.bench.images import Reader, read_mask
from app.bench.pixels import Map, upsample
from app.bench.run import Outcome
from detector.errors import SampleError
from detector.imaging import Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXAMPLES = 6
_GOOD, _ANOMALOUS = "#0072b2", "#d55e00"  # told apart by the colour-blind too
_THUMBNAIL_PX = 240


def roc_curve(
    scores: NDArray[np.floating[Any]], anomalous: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return false- and true-positive rates at every distinct threshold, from (0, 0) to (1, 1)."""
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(anomalous[order])[last_of_ties]
    false = np.cumsum(~anomalous[order])[last_of_ties]
    return np.append(0.0, false / false[-1]), np.append(0.0, hits / hits[-1])


def plot_rocs(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw one ROC curve per set."""
    figure = _figure(6, 6)
    axes = figure.add_subplot()
    for outcome in outcomes:
        false, true = roc_curve(outcome.scores, outcome.anomalous)
        axes.plot(false, true, label=f"{outcome.row.set} {outcome.row.auroc:.3f}")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
    axes.set(
        xlabel="false-positive rate",
        ylabel="true-positive rate",
        title=f"{outcomes[0].configuration.label}, image AUROC",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        aspect="equal",
    )
    axes.legend(loc="lower right", fontsize="small")
    figure.savefig(path)


def plot_set(outcome: Outcome, reader: Reader, folder: Path) -> None:
    """Draw histogram, worst errors and, where there are maps, example maps of one set."""
    stem = outcome.row.set.replace("/", "-")
    _histogram(outcome, folder / f"histogram-{stem}.png")
    _errors(outcome, reader, folder / f"errors-{stem}.png")
    if outcome.maps is not None:
        _maps(outcome, outcome.maps, reader, folder / f"maps-{stem}.png")


def _histogram(outcome: Outcome, path: Path) -> None:
    figure = _figure(7, 4)
    axes = figure.add_subplot()
    bins = np.histogram_bin_edges(outcome.scores, 40).tolist()
    for label, chosen, colour in (
        ("good", ~outcome.anomalous, _GOOD),
        ("anomalous", outcome.anomalous, _ANOMALOUS),
    ):
        axes.hist(outcome.scores[chosen], bins, label=label, color=colour, alpha=0.6)
    title = f"{outcome.row.set}, {outcome.configuration.label}"
    axes.set(xlabel="score", ylabel="images", title=title)
    axes.legend()
    figure.savefig(path)


def _errors(outcome: Outcome, reader: Reader, path: Path) -> None:
    """Show the lowest-scored anomalous and the highest-scored good images."""
    order = np.argsort(outcome.scores, kind="stable")
    missed = [i for i in order if outcome.anomalous[i]][:EXAMPLES]
    alarms = [i for i in order[::-1] if not outcome.anomalous[i]][:EXAMPLES]
    figure = _figure(2.2 * EXAMPLES, 5.2)
    rows = (("lowest anomalous", missed), ("highest good", alarms))
    for row, (what, indices) in enumerate(rows):
        for column, index in enumerate(indices):
            axes = _picture_axes(figure, row, column, 2)
            axes.imshow(_thumbnail(reader.picture(outcome.images[index].path)))
            kind = outcome.images[index].kind
            axes.set_title(f"{what}\n{kind} {outcome.scores[index]:.4g}", fontsize=8)
    figure.suptitle(f"{outcome.row.set}, {outcome.configuration.label}: worst errors")
    figure.savefig(path)


def _maps(outcome: Outcome, maps: Map, reader: Reader, path: Path) -> None:
    """Show the highest-scored anomalous images with their maps on one scale, and the masks."""
    order = np.argsort(-outcome.scores, kind="stable")
    chosen = [i for i in order if outcome.anomalous[i]][:EXAMPLES]
    low, high = float(np.median(maps)), float(maps[chosen].max())
    figure = _figure(2.2 * EXAMPLES, 5.2)
    for column, index in enumerate(chosen):
        image = outcome.images[index]
        picture = reader.picture(image.path)
        height, width = picture.shape[:2]
        above, below = (_picture_axes(figure, row, column, 2) for row in (0, 1))
        above.imshow(picture)
        if image.mask:
            with suppress(SampleError):  # noted where the pixels were ranked
                above.contour(read_mask(image.mask), [0.5], colors=[_ANOMALOUS], linewidths=1)
        above.set_title(image.kind, fontsize=8)
        below.imshow(upsample(maps[index], height, width), vmin=low, vmax=high, cmap="viridis")
        below.set_title(f"{outcome.scores[index]:.4g}", fontsize=8)
    figure.suptitle(f"{outcome.row.set}, {outcome.configuration.label}: maps")
    figure.savefig(path)


def _thumbnail(picture: Pixels) -> Pixels:
    image = Image.fromarray(picture)
    image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    return np.asarray(image)


def _picture_axes(figure: "Figure", row: int, column: int, rows: int) -> "Axes":
    axes = figure.add_subplot(rows, EXAMPLES, row * EXAMPLES + column + 1)
    axes.set_axis_off()
    return axes


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")
