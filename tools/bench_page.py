"""Latency and smoothness of the curation page in Chromium.

    python tools/bench_page.py --items 50000

The catalog is synthetic, with films of 1,000 shots and one tiny image each; the server runs in this
process, the browser is headless, without a GPU, 1440 x 900. Prints a JSON line per interaction in
milliseconds: opening the page, a text query until the first results, the last results after the key
that jumps there; then two kinds of scrolling: 'wheel', 60 pixels per frame, and 'bar', from one end
to the other in 300 frames, with median, 99th percentile and maximum time between two frames, frames
per second and the time until all images are loaded; and the cells and MiB of JavaScript objects
that the page holds. Needs the extra [curate] and chromedriver.
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
from tests.annotate.app.large_catalog import large_catalog
from tests.annotate.app.serving import run_server, stub_session
from tools.bench_curate import measure_ms, summarize_times

SHOTS = 1000  # per film
FRAMES = 300  # per scroll
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
    """Generate the catalog, and measure the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as start:
        root = large_catalog(Path(folder) / "catalog", films=arguments.items // SHOTS, shots=SHOTS)
        with run_server(stub_session(root)) as client:
            measure(start(), f"http://127.0.0.1:{client.port}/", arguments.items, arguments.repeat)


def measure(browser: Browser, address: str, items: int, repeat: int) -> None:
    """Print a JSON line per interaction."""

    def show(what: str, call: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> None:
        took = []
        for _ in range(repeat):
            before()
            took.append(measure_ms(call))
        print(json.dumps(dict(wait=what, items=items) | summarize_times(took)), flush=True)

    measure_ms(lambda: browser.open(address))  # the server opens its index
    show("page", lambda: browser.open(address))
    browser.run("document.getElementById('fold').checked = false")
    words = iter(("red", "blue", "green") * repeat)
    show("words to the first results", lambda: _search(browser, next(words)))
    show(
        "the last results",
        lambda: _jump(browser, "End", items - 1),
        before=lambda: _jump(browser, "Home", 0),
    )
    for mode, step in (("wheel", 60), ("bar", 0)):
        found = dict(scroll=mode, items=items) | _scroll(browser, step)
        print(json.dumps(found | _measure_size(browser)), flush=True)


def _search(browser: Browser, word: str) -> None:
    browser.search(word)
    browser.wait(SEEN)


def _jump(browser: Browser, key: str, item: int) -> None:
    browser.press(key)
    image = f"document.getElementById('cell-{item}')?.querySelector('img')"
    browser.wait(f"!!{image}.naturalWidth")


def _scroll(browser: Browser, step: int) -> dict[str, float]:
    browser.run(SCROLL, FRAMES, step)
    browser.wait(f"window.ticks.length > {FRAMES}")
    missing = measure_ms(lambda: browser.wait(SEEN))
    between = np.diff(browser.run("window.ticks"))
    rate = 1000 / float(between.mean())
    figures = dict(p50_ms=np.median(between), p99_ms=np.quantile(between, 0.99))
    figures |= dict(most_ms=between.max(), frames_per_s=rate, missing_ms=missing)
    return {name: round(float(value), 1) for name, value in figures.items()}


def _measure_size(browser: Browser) -> dict[str, float]:
    """Return the number of cells and the heap size of the page."""
    bytes_held = browser.run("performance.memory.usedJSHeapSize")
    cells = browser.run("document.querySelectorAll('.cell').length")
    return dict(cells=cells, heap_mib=round(bytes_held / 2**20, 1))


if __name__ == "__main__":
    main()
