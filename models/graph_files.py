"""Exported graphs in a folder, each under the fingerprint of its network and of what exports it."""

import hashlib
import logging
import uuid
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from models import onnx_export

log = logging.getLogger(__name__)


class GraphFiles:
    """The graphs of one network, one for pictures of each size.

    Args:
        folder: where they are; None keeps none.
        fingerprint: of the backbone.
    """

    def __init__(self, folder: Path | None, fingerprint: str) -> None:
        self._folder, self._fingerprint = folder, fingerprint

    def path(self, channels: int, side_px: int) -> Path | None:
        """Return where the graph of that many channels and that size is, or would be."""
        if self._folder is None:
            return None
        makers = [f"{package} {version(package)}" for package in ("torch", "onnx", "onnxscript")]
        made = f"{self._fingerprint} {makers} {onnx_export.VERSION}"
        digest = hashlib.sha256(made.encode()).hexdigest()[:16]
        return self._folder / f"{digest}-{channels}x{side_px}.onnx"

    def keep(self, content: bytes, channels: int, side_px: int) -> None:
        """Keep that graph, whole or not at all; warn if it cannot be."""
        file = self.path(channels, side_px)
        if file is None:
            return
        half = file.with_suffix(f".{uuid.uuid4().hex}.tmp")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            half.write_bytes(content)
            half.replace(file)
        except OSError as error:
            log.warning("the graph is made anew at the next start, it cannot be kept: %s", error)
            with suppress(OSError):
                half.unlink(missing_ok=True)
