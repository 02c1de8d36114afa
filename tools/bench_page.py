"""How long a person waits for the curation page in Chromium, and how evenly it scrolls.

    python tools/bench_page.py --items 50000

A made catalogue of films of 1,000 shots, one tiny picture each; the server is in this process, the
browser headless and without a GPU, 1440 x 900. Prints a JSON line for each thing that is waited
for, in milliseconds: the page until it can be used, words until the first results are seen, the
last results from the key that jumps there; then two ways to scroll: 'wheel', 60 pixels a frame, and
'bar', from one end to the other in 300 frames. Of these: the median, 99th percentile and longest
time between two frames, how many in a second, and how long pictures are missing afterwards; and
cells and MiB of JavaScript objects that the page holds. Needs the extra [curate] and chromedriver.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.annotate.app.browser import Browser, chromium
from tests.annotate.app.large import large
from tests.annotate.app.serving import desk, running
from tools.bench_curate import milliseconds, times

SHOTS = 1000  # of a film
FRAMES = 300  # of a scroll
SEEN = (
    "document.querySelectorAll('.cell').length > 10 && "
    "!document.querySelector('.cell.coming') && "
    "[...document.querySelectorAll('.cell img')].every((image) => image.naturalWidth)"
)
SCROLL = """
const grid = document.getElementById("grid"), [frames, step] = arguments;
grid.scrollTop = 0;
window.ticks = [];
const tick = (now) => {
  window.ticks.push(now);
  grid.scrollTop += step || Math.ceil((grid.scrollHeight - grid.clientHeight) / frames);
  if (window.ticks.length <= frames) requestAnimationFrame(tick);
};
requestAnimationFrame(tick);
return 1
"""


def main() -> None:
    """Makes the catalogue, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as start:
        root = large(Path(folder) / "catalog", films=arguments.items // SHOTS, shots=SHOTS)
        with running(desk(root)) as client:
            measure(start(), f"http://127.0.0.1:{client.port}/", arguments.items, arguments.repeat)


def measure(browser: Browser, address: str, items: int, repeat: int) -> None:
    """Prints every figure."""

    def show(what: str, call: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> None:
        took = []
        for _ in range(repeat):
            before()
            took.append(milliseconds(call))
        print(json.dumps(dict(wait=what, items=items) | times(took)), flush=True)

    milliseconds(lambda: browser.open(address))  # the server opens its index
    show("page", lambda: browser.open(address))
    browser.run("document.getElementById('fold').checked = false")
    words = iter(("red", "blue", "green") * repeat)
    show("words to the first results", lambda: _search(browser, next(words)))
    last, first = ("End", items - 1), ("Home", 0)
    show("the last results", lambda: _jump(browser, *last), lambda: _jump(browser, *first))
    for way, step in (("wheel", 60), ("bar", 0)):
        found = dict(scroll=way, items=items) | _scroll(browser, step)
        print(json.dumps(found | _held(browser)), flush=True)


def _search(browser: Browser, word: str) -> None:
    browser.search(word)
    browser.wait(SEEN)


def _jump(browser: Browser, key: str, item: int) -> None:
    browser.press(key)
    picture = f"document.getElementById('cell-{item}')?.querySelector('img')"
    browser.wait(f"!!{picture}.naturalWidth")


def _scroll(browser: Browser, step: int) -> dict[str, float]:
    browser.run(SCROLL, FRAMES, step)
    browser.wait(f"window.ticks.length > {FRAMES}")
    missing = milliseconds(lambda: browser.wait(SEEN))
    between = np.diff(browser.run("window.ticks"))
    rate = 1000 / float(between.mean())
    figures = dict(p50_ms=np.median(between), p99_ms=np.quantile(between, 0.99))
    figures |= dict(most_ms=between.max(), frames_per_s=rate, missing_ms=missing)
    return {name: round(float(value), 1) for name, value in figures.items()}


def _held(browser: Browser) -> dict[str, float]:
    """What the page holds."""
    bytes_held = browser.run("performance.memory.usedJSHeapSize")
    cells = browser.run("document.querySelectorAll('.cell').length")
    return dict(cells=cells, heap_mib=round(bytes_held / 2**20, 1))


if __name__ == "__main__":
    main()
