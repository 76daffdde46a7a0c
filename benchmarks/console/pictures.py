"""Pictures of every page of the console, as a browser shows it."""

import io
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import FilePayload, Page, expect, sync_playwright
from tqdm import tqdm

from benchmarks.console import line, sounds
from benchmarks.console.line import BARE, DETECTOR
from benchmarks.console.sounds import SPINDLE

WIDTHS = (1440, 360)
NARROW_PX = 600
"""Below it a picture is of the dark scheme."""
HEIGHT_PX = 900
MOST_PX = 2200
"""What lies below in a long page is more of the same."""
COLOURS = 256
PAGES: Mapping[str, str] = {
    "detectors": "/detectors",
    "new": "/new",
    "fit": f"/detectors/{BARE}/learn",
    "threshold": f"/detectors/{DETECTOR}/threshold",
    "inspect": f"/detectors/{DETECTOR}/inspect",
    "sound": f"/detectors/{SPINDLE}/inspect",
    "history": f"/detectors/{DETECTOR}/history",
    "drift": f"/detectors/{DETECTOR}/drift",
    "versions": f"/detectors/{DETECTOR}/versions",
    "jobs": "/jobs",
    "audit": "/audit",
    "keys": "/keys",
}
"""Addresses, by the names of their pictures."""


def take(url: str, out: Path, widths: Sequence[int], pages: Iterable[str]) -> None:
    """Write a picture of each page at each width.

    Args:
        url: of a service that ``line.populate`` and ``sounds.populate`` have filled.
        out: folder for the pictures.
        widths: of the window, in px.
        pages: names of ``PAGES``.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for width, name in tqdm([(w, n) for w in widths for n in pages], desc="pictures"):
            page = browser.new_page(
                viewport={"width": width, "height": HEIGHT_PX},
                color_scheme="dark" if width < NARROW_PX else "light",
                reduced_motion="reduce",
            )
            page.goto(f"{url}/console/#{PAGES[name]}")
            page.locator("main h1").first.wait_for()
            if name == "inspect":
                _inspect(page, line.example(), "image/png")
            elif name == "sound":
                _inspect(page, sounds.example(), "audio/wav")
            expect(page.locator(".spinner")).to_have_count(0)
            page.wait_for_load_state("networkidle")
            _write(page.screenshot(full_page=True), out / f"{name}-{width}.png")
            page.close()
        browser.close()


def _inspect(page: Page, dropped: Mapping[str, bytes], media_type: str) -> None:
    """Drop files, and wait until the first, an odd one, is shown in full."""
    files: list[FilePayload] = [
        {"name": name, "mimeType": media_type, "buffer": file} for name, file in dropped.items()
    ]
    page.locator("main input[type=file]").first.set_input_files(files)
    page.get_by_text("Anomalous").first.wait_for()


def _write(png: bytes, path: Path) -> None:
    """Write a picture in a palette: a third of the size, and looks the same."""
    with Image.open(io.BytesIO(png)) as image:
        top = image.convert("RGB").crop((0, 0, image.width, min(image.height, MOST_PX)))
        # Refined once: without it plain grounds are tinted where a picture has many colours.
        palette = top.quantize(
            COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
        )
        palette.save(path, optimize=True)
