"""Pages of the documentation that are made from the code, so that they cannot lag behind it."""

from collections.abc import Callable
from functools import partial

from reference import (
    client,
    commands,
    http,
    kinds,
    metrics,
    problems,
    readme,
    schemas,
    settings,
)

PAGES: dict[str, Callable[[], str]] = {
    "reference/settings.md": settings.page,
    "reference/commands.md": commands.page,
    "reference/http.md": http.page,
    "reference/schemas.md": schemas.page,
    "reference/kinds.md": kinds.page,
    "reference/problems.md": problems.page,
    "reference/metrics.md": metrics.page,
    "reference/client.md": client.page,
    "changelog.md": readme.changelog,
} | {path: partial(readme.chapter, path) for path in readme.CHAPTERS}
"""What makes each page, in Markdown, by the page's path in the documentation."""
