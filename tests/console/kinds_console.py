"""A server process that takes several kinds of data, whose networks learn briefly."""

import sys
from pathlib import Path

APP = Path(__file__).parents[1] / "app"
sys.path += [str(APP), str(APP / "kinds")]  # tests are no packages

from documented_kind import documented_kind  # noqa: E402
from stub_backbone import StubBackbone  # noqa: E402

from app import serving  # noqa: E402
from app.main import create_app  # noqa: E402
from app.service import Service  # noqa: E402
from app.settings import Settings  # noqa: E402
from app.storage import Storage  # noqa: E402
from app.telemetry import Telemetry  # noqa: E402
from detector import kinds  # noqa: E402
from detector.errors import InvalidSpecError  # noqa: E402
from models.plan import Plan  # noqa: E402

USED = ("audio", "graph", "image_text", "sequence")
MISSING = "install gatewatch[elsewhere]"


def register() -> None:
    """Have the kinds that the tests use, all quick to learn, and one whose package is missing."""
    for kind in (*map(kinds.KINDS.__getitem__, USED), documented_kind()):
        kinds.KINDS[kind.name] = kind
        type(kind).plan = Plan(batch=8, steps=4, rounds=1)
    kinds.KINDS["elsewhere"] = _Elsewhere()


class _Elsewhere(type(documented_kind())):
    """A kind that cannot be read here."""

    name = "elsewhere"

    def require_installed(self) -> None:
        """Refuse."""
        raise InvalidSpecError(MISSING)


def main() -> bool:
    """Serve as the command line does; return whether it ended in good order."""
    register()
    settings = Settings(port=int(sys.argv[-1]))
    storage = Storage.open(settings.data_dir)
    service = Service(settings, StubBackbone(), storage, Telemetry())  # type: ignore[arg-type]
    return serving.serve(create_app(settings, service), settings)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
