"""Where a request stands in the application, wherever the application itself is mounted."""

from starlette.types import Scope


def path_of(scope: Scope) -> str:
    """Return a request's path without the prefix under which a server has us (``root_path``)."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "").rstrip("/")
    return path.removeprefix(prefix) if path == prefix or path.startswith(f"{prefix}/") else path
