"""The problems: what can go wrong, as the service's table of errors and statuses has it."""

from http import HTTPStatus

from app.problems import STATUS, of
from detector.errors import DetectorError
from reference.markdown import code, table, text

INTRODUCTION = """# Problems

Every error is `application/problem+json` (RFC 9457). Its `type` is one of these and stays what it
is; its `detail` says what to do. In Python each is an exception of the same name
([client](../client.md)). Beside them there are `urn:gatewatch:problem:invalid-request` (422: a
parameter or body that does not fit its schema; `errors` lists every place) and `about:blank`, for
what the status alone says.
"""
ORDER = sorted(STATUS, key=lambda kind: (STATUS[kind], kind.__name__))


def page() -> str:
    """Return the page."""
    rows = [_row(kind) for kind in ORDER]
    return f"{INTRODUCTION}\n{table(['type', 'status', 'what it says'], rows)}"


def _row(kind: type[DetectorError]) -> list[str]:
    status = STATUS[kind]
    first = (kind.__doc__ or "").strip().splitlines()[0]
    name = of(kind("")).type
    shown = f'<a id="{name.rpartition(":")[2]}"></a>{code(name)}'
    return [shown, f"{status} {HTTPStatus(status).phrase}", text(first)]
