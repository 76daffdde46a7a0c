"""A threshold in the client's words, as the service has it."""

from app.lines import Line
from gatewatch import answers

NO_PARAMETERS = ("method", "by_group", "review_target")


def line_of(threshold: answers.NewThreshold) -> Line:
    """Return the line that the client asks for."""
    parameters = {
        name: value
        for name, value in vars(threshold).items()
        if name not in NO_PARAMETERS and value is not None
    }
    return Line(threshold.method, parameters, threshold.by_group, threshold.review_target)
