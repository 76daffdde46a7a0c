"""Leave one group out: the false alarms to expect of the next lot, session or camera.

The line that is drawn through the calibration images flags few of them by construction. It promises
the same of new images only if they are exchangeable with these, and images of one lot resemble each
other more than those of the next. So for each group g with m images the line is drawn on the other
n images alone, at rank k, and the images of g are counted above it. If g were like the others, the
rate above that line would be Beta(n + 1 - k, k) and the count (see ``detector.conformal``)::

    x ~ BetaBinomial(m, n + 1 - k, k)          p_g = P(X >= x)

exactly without ties, and less often with them. There is a warning if p_g is at most 5 % over the
number of groups for any of them (Bonferroni: the lines share images, so the counts depend on each
other, and this holds under any dependence); it says which.
Source: Marques F., "Universal distribution of the empirical coverage in split conformal
prediction", arXiv:2303.02770, for the law of the count.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import betabinom, t

from detector import conformal
from detector.calibration import CONFIDENCE, Calibration, Share, share_above
from detector.errors import InsufficientCalibrationError, InvalidSpecError

LEVEL = 0.05
"""Chance of a warning if all groups are alike; at most."""

Scores = Float[np.ndarray, " _"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A group judged by the line of the others.

    Attributes:
        group: its name.
        threshold: the line chosen without it.
        in_sample: its images above the line chosen with it.
        held_out: its images above the line chosen without it.
        p_value: chance of that many or more, if the group is like the others.
    """

    group: str
    threshold: float
    in_sample: Share
    held_out: Share
    p_value: float


@dataclass(frozen=True, slots=True)
class GroupReport:
    """False alarms when each group in turn is unknown, beside the in-sample ones.

    Attributes:
        target: false-alarm rate that every line was chosen for.
        groups: the groups in order.
        in_sample: images of all groups above the line chosen on all.
        held_out: images of all groups, each above the line chosen without its group.
        interval: of the held-out rate, 95 %; see ``_interval``.
        warning: a sentence if held-out and in-sample rates differ more than chance explains.
    """

    target: float
    groups: tuple[LeftOut, ...]
    in_sample: Share
    held_out: Share
    interval: tuple[float, float]
    warning: str | None


def leave_one_group_out(
    calibration: Calibration,
    target: float,
    refitted: Mapping[str, tuple[Scores, Scores]] | None = None,
) -> GroupReport:
    """Return the report for a target.

    Args:
        calibration: with at least one known group, and images beside it.
        target: false-alarm rate of the conformal lines.
        refitted: per group, from a detector that never fitted the group: the scores of its own
            calibration images, and those of all others. Without it only the line is chosen
            without the group, by a detector that may have fitted images of it, which flatters.

    Raises:
        InvalidSpecError: if no group is known, the target is not in (0, 1), or ``refitted`` has
            other groups or counts than the calibration.
        InsufficientCalibrationError: if the others of a group are too few for the target.
    """
    if not calibration.names:
        raise InvalidSpecError("no calibration image has a group: calibrate with groups first")
    line = conformal.threshold(calibration.ascending, target)
    if refitted is None:
        refitted = {
            name: (calibration.scores[mask], calibration.scores[~mask])
            for name, mask in calibration.masks.items()
        }
    else:
        _check(refitted, calibration)
    groups = tuple(
        _left_out(name, *refitted[name], target, share_above(calibration.scores[mask], line))
        for name, mask in calibration.masks.items()
    )
    in_sample = _sum([group.in_sample for group in groups])
    held_out = _sum([group.held_out for group in groups])
    return GroupReport(
        target,
        groups,
        in_sample,
        held_out,
        _interval([group.held_out for group in groups]),
        _warning(groups, in_sample, held_out),
    )


def _check(refitted: Mapping[str, tuple[Scores, Scores]], calibration: Calibration) -> None:
    if set(refitted) != set(calibration.names):
        raise InvalidSpecError(
            f"scores were refitted for the groups {', '.join(sorted(refitted))}, but the "
            f"calibration has {', '.join(calibration.names)}"
        )
    for name, mask in calibration.masks.items():
        own, others = refitted[name]
        if len(own) != mask.sum() or len(others) != len(mask) - mask.sum():
            raise InvalidSpecError(
                f"group {name!r} has {mask.sum()} calibration images and {(~mask).sum()} others, "
                f"but {len(own)} and {len(others)} refitted scores"
            )
        if not (np.isfinite(own).all() and np.isfinite(others).all()):
            raise InvalidSpecError(f"the refitted scores of group {name!r} must be finite numbers")


def _left_out(group: str, own: Scores, others: Scores, target: float, inside: Share) -> LeftOut:
    n = len(others)
    try:
        k = conformal.rank(n, target)
    except InsufficientCalibrationError as error:
        raise InsufficientCalibrationError(f"without group {group!r}, {error}") from error
    line = float(np.sort(others)[k - 1])
    share = share_above(own, line)
    p_value = float(betabinom.sf(share.count - 1, share.of, n + 1 - k, k))
    return LeftOut(group, line, inside, share, p_value)


def _sum(shares: list[Share]) -> Share:
    return Share(sum(share.count for share in shares), sum(share.of for share in shares))


def _interval(shares: list[Share]) -> tuple[float, float]:
    """Return a 95 % interval of the pooled rate r.

    At each end the wider of Clopper-Pearson's, for independent images, and of Student's t with the
    groups as the unit, for images that come in clusters; with G groups and G - 1 degrees of
    freedom::

        r -+ t sqrt(G / (G - 1) sum_g (x_g - r m_g)^2) / sum_g m_g

    The first alone would be far too narrow for lots that differ, the second empty where no group
    has a false alarm. For one group it is (0, 1).
    """
    pooled = _sum(shares)
    if len(shares) < 2:
        return 0.0, 1.0
    counts, sizes = np.array([(share.count, share.of) for share in shares], dtype=float).T
    groups, rate = len(shares), pooled.rate
    variance = groups / (groups - 1) * ((counts - rate * sizes) ** 2).sum()
    reach = float(t.ppf((1 + CONFIDENCE) / 2, groups - 1) * np.sqrt(variance) / pooled.of)
    low, high = pooled.interval
    return max(min(low, rate - reach), 0.0), min(max(high, rate + reach), 1.0)


def _warning(groups: tuple[LeftOut, ...], in_sample: Share, held_out: Share) -> str | None:
    odd = [group for group in groups if group.p_value <= LEVEL / len(groups)]
    if not odd:
        return None
    worst = sorted(odd, key=lambda group: -group.held_out.rate)
    named = ", ".join(f"{group.group!r} ({group.held_out} flagged)" for group in worst[:5])
    more = f" and {len(worst) - 5} more" if len(worst) > 5 else ""
    return (
        f"Expect more false alarms of a new group than the target says: images of a group that the "
        f"line was not chosen on are flagged {held_out} times, in-sample {in_sample}. More than "
        f"chance explains at {100 * LEVEL:g} % (beta-binomial test of each group against the "
        f"others, Bonferroni): {named}{more}. Fit and calibrate with more groups; lines by group "
        f"help the groups that are known."
    )
