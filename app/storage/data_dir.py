"""The data directory, made if need be, or refused in words."""

import os
from pathlib import Path

from app.errors import StorageError
from app.settings import variable


def require_data_dir(directory: Path) -> None:
    """Make the data directory, if it is not there.

    Raises:
        StorageError: if it is no folder, or none that this user may write.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise _refused(directory, "it is a file") from error
    except (OSError, ValueError) as error:  # ValueError: of text that is no path
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise _refused(directory, f"it cannot be made ({cause})") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise _refused(directory, "it cannot be written")


def _refused(directory: Path, why: str) -> StorageError:
    name = variable("data_dir")
    return StorageError(f"{name}={directory}: {why}: give a folder that this user may write")
