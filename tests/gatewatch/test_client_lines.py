"""How a threshold is sent: what is said, and nothing else."""

from gatewatch import NewThreshold
from gatewatch.lines import as_document, as_query


def test_what_is_not_said_is_not_sent() -> None:
    assert as_document(0.1) == {"method": "conformal", "target": 0.1}
    assert as_query(None) == {}
    line = NewThreshold(method="quantile", target=0.1, by_group=True)
    assert as_document(line) == {"method": "quantile", "target": 0.1, "by_group": True}


def test_zero_is_said() -> None:
    """Contract: a line at score 0, or a cost of 0, is one; it is not left out."""
    by_hand = NewThreshold(method="manual", value=0.0)
    assert as_document(by_hand) == {"method": "manual", "value": 0.0}
