"""A server process on the real backbone that adapts gates in two steps; TEST_KEEP keeps them."""

import os
import sys

import detector.adapt
from app import serving
from app.main import create_app
from app.settings import Settings
from models import adaptation


def main() -> bool:
    """Serve as the command line does; return whether it ended in good order."""
    adaptation.STEPS, adaptation.ROUNDS = 2, 1
    if "TEST_KEEP" in os.environ:
        detector.adapt.verdict = lambda *_: (True, "It helped")  # type: ignore[assignment]
    settings = Settings(port=int(sys.argv[-1]))
    return serving.serve(create_app(settings), settings)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
