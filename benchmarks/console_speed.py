"""How long the console takes to answer a hand, with 50 detectors and 10,000 scored images.

    python -m benchmarks.console_speed [--images 10000] [--detectors 50]

A real service is fitted to small pictures of bricks, stopped, given a past and started again;
Debian's Chromium, without a screen, is driven by real keys and clicks. An *interaction* is from
the input to the next picture on the screen, as the browser's own Event Timing API tells it (the
measure of INP): in steps of 8 ms, and nothing below 16 ms, which stands as "< 16". *Data there* is
from the click until what was asked for is in the page and painted, the service's answer included.
"""

import argparse
import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from app.storage import Storage
from benchmarks.console_past import seed
from demo.scenes import scene
from demo.service import Service, Upload, running

NAME, SIDE_PX, FIT, CALIBRATE = "bricks", 96, 40, 300
SETTLE_MS = 400
COLUMNS = ("interaction, median ms", "worst ms", "data there, median ms", "worst ms")
OBSERVE = """
window.seen = [];
new PerformanceObserver((list) => {
  for (const { name, duration } of list.getEntries()) window.seen.push([name, duration]);
}).observe({ type: "event", durationThreshold: 16, buffered: true });
addEventListener("pointerdown", (event) => { window.began = event.timeStamp; }, true);
window.until = (find) => new Promise((resolve) => {
  const look = () => (find() ? requestAnimationFrame(resolve) : requestAnimationFrame(look));
  look();
});
"""


@dataclass
class Measured:
    """What was measured of one thing that is done again and again; milliseconds."""

    what: str
    interactions: list[float]
    there: list[float]

    def row(self) -> str:
        """Return its line of the table."""
        there = f"{statistics.median(self.there):.0f}" if self.there else ""
        worst = f"{max(self.there):.0f}" if self.there else ""
        median = _bounded(statistics.median_high(self.interactions))
        slowest = _bounded(max(self.interactions))
        times = len(self.interactions)
        return f"| {self.what} | {times} | {median} | {slowest} | {there} | {worst} |"


class Hand:
    """Does things in a page, and measures what they take."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.rows: list[Measured] = []

    def go(self, where: str) -> None:
        """Open a page of the console and let it come to rest."""
        self.page.goto(f"{self.url}/console/#{where}")
        self.page.wait_for_selector("main h1")
        self.page.wait_for_load_state("networkidle")

    def measure(
        self, what: str, acts: Sequence[Callable[[], object]], there: Sequence[str] = ()
    ) -> None:
        """Do each of these, and note its worst interaction and when its data was there.

        Args:
            what: the row's name.
            acts: each ends with the input.
            there: for each, a JavaScript condition of what must be in the page in the end.
        """
        found = Measured(what, [], [])
        for place, act in enumerate(acts):
            self.page.evaluate("window.seen = []")
            if there:
                self.page.evaluate(f"window.done = until(() => {there[place]}); 0")
            act()
            if there:
                wait = "async () => { await window.done; return performance.now() - window.began; }"
                found.there.append(float(self.page.evaluate(wait)))
            self.page.wait_for_timeout(SETTLE_MS)  # entries come some time after the picture
            entries = self.page.evaluate("window.seen")
            found.interactions.append(max((ms for _, ms in entries), default=0.0))
        self.rows.append(found)

    def click(self, name: str, role: str = "button") -> Callable[[], object]:
        """Return what clicks something by its name."""
        return lambda: self.page.get_by_role(role, name=name, exact=True).first.click()  # type: ignore[arg-type]

    def press(self, *keys: str) -> list[Callable[[], object]]:
        """Return what presses keys where the focus is."""
        return [lambda key=key: self.page.keyboard.press(key) for key in keys]  # type: ignore[misc]


def _bounded(ms: float) -> str:
    return f"{ms:.0f}" if ms > 0 else "< 16"


def _pictures(first: int, count: int) -> list[Upload]:
    found = []
    for at in range(first, first + count):
        held = BytesIO()
        Image.fromarray(scene("good", at).picture).save(held, "PNG", compress_level=1)
        found.append((f"{at}.png", held.getvalue()))
    return found


@contextmanager
def _service(folder: Path, images: int, detectors: int) -> Iterator[Service]:
    """Run a service that has such a past."""
    with running(folder) as learning:
        learning.wait_until_ready()
        learning.create(NAME, image_size=SIDE_PX)
        learning.fit(NAME, _pictures(0, FIT), lambda _: None)
        learning.calibrate(NAME, _pictures(10_000, CALIBRATE), 0.05, lambda _: None)
    storage = Storage.open(folder / "data")
    seed(storage, NAME, images=images, detectors=detectors)
    storage.close()
    with running(folder) as service:
        service.wait_until_ready()
        yield service


def _measure(hand: Hand, detectors: int) -> None:
    page = hand.page
    hand.go("/detectors")
    page.get_by_label("Name contains").focus()
    hand.measure("type in the filter of detectors, a key", hand.press(*"line-07"))
    page.get_by_label("Name contains").fill("")
    shown = f"document.querySelectorAll('main .cards > li').length === {detectors}"
    hand.measure("open the list of detectors", [hand.click("Detectors", "link")] * 5, [shown] * 5)
    tabs = ("Threshold", "History", "Drift", "Inspect", "Versions")
    signs = (
        "document.querySelector('main svg.chart line.proposed[x1]')",
        "document.querySelectorAll('main tbody tr').length === 50",
        "document.querySelector('main h1')?.textContent.endsWith('drift')",
        "document.querySelector('main h1')?.textContent.endsWith('inspect')",
        "document.querySelector('main h1')?.textContent.endsWith('versions')",
    )
    hand.go(f"/detectors/{NAME}/drift")
    for tab, sign in zip(tabs, signs, strict=True):
        acts, done = [], []
        for _ in range(4):
            acts += [hand.click(tab, "link"), hand.click("Fit and calibrate", "link")]
            done += [sign, "document.querySelector('main h1')?.textContent.endsWith('calibrate')"]
        hand.measure(f"switch to {tab} and away", acts, done)
    hand.go(f"/detectors/{NAME}/history")
    places = [
        f"document.querySelector('main').textContent.includes('{50 * at + 1:,} to')"
        for at in range(31)
    ]
    hand.measure("older images of the history, a page", [hand.click("Older")] * 30, places[1:])
    hand.go(f"/detectors/{NAME}/history")
    page.get_by_label("Name or group").focus()
    hand.measure("type in the filter of the history, a key", hand.press(*"part-0912"))
    hand.go(f"/detectors/{NAME}/threshold")
    page.get_by_role("slider").focus()
    hand.measure("move the slider, a step", hand.press(*["ArrowRight"] * 20, *["ArrowLeft"] * 20))
    hand.measure("drag the line across the scores", [lambda: _drag(page)] * 3)


def _drag(page: Page) -> None:
    box = page.locator(".handle").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + 100
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 200, y, steps=60)
    page.mouse.move(x + 20, y, steps=60)
    page.mouse.up()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--detectors", type=int, default=50)
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        TemporaryDirectory() as folder,
        _service(Path(folder), asked.images, asked.detectors) as service,
        sync_playwright() as playwright,
    ):
        options = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(OBSERVE)
        hand = Hand(page, service.url)
        _measure(hand, asked.detectors)
        print(f"{asked.detectors} detectors, {asked.images:,} images, Chromium {browser.version}\n")
        browser.close()
    print(f"| what is done | times | {' | '.join(COLUMNS)} |")
    print("|---|---:|---:|---:|---:|---:|")
    for each in hand.rows:
        print(each.row())


if __name__ == "__main__":
    main()
