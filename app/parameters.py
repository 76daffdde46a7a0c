"""Parameters that several routes share: a dataclass each, made in the event loop."""

import inspect
from collections.abc import Callable
from typing import Any

from fastapi import Depends


def made(kind: Callable[..., Any]) -> Any:
    """Return the dependency on what ``kind`` makes of a request's parameters.

    ``Depends(kind)`` alone would make it in a thread, as FastAPI does with all that is no
    coroutine: for a few attributes that costs more than the rest of a small request.
    """

    async def make(**parameters: Any) -> Any:
        return kind(**parameters)

    make.__signature__ = inspect.signature(kind)  # type: ignore[attr-defined]
    return Depends(make)
