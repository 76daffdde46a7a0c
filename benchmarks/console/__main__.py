"""Takes the pictures of docs/console.md.

    python -m benchmarks.console OUT [--url URL] [--width 1440 --width 360] [--only PAGE]

Fills a service of its own (``line.py``, ``sounds.py``), opens every page of the console in Debian's
Chromium and writes OUT/PAGE-WIDTH.png: wide ones light, narrow ones dark. With --url the service is
one that was filled before.
"""

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.console import line, sounds
from benchmarks.console.pictures import PAGES, WIDTHS, take
from demo.service import running


@contextlib.contextmanager
def _filled() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as service:
        service.wait_until_ready()
        line.populate(service.url)
        sounds.populate(service.url)
        yield service.url


def main() -> None:
    """Fill a service, unless one is given, and take the pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console")
    parser.add_argument("out", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--width", type=int, action="append")
    parser.add_argument("--only", action="append", choices=[*PAGES])
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with contextlib.nullcontext(asked.url) if asked.url else _filled() as url:
        take(url, asked.out, asked.width or WIDTHS, asked.only or PAGES)


if __name__ == "__main__":
    main()
