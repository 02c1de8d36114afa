"""The labeling page in Chromium, by keyboard: usual tasks and failures."""

import csv
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.annotate.app.browser import CLOSED, SAVED, Browser, add_label, cursor, search
from tests.annotate.app.large_catalog import large_catalog
from tests.annotate.app.serving import embedded_catalog, label_values, run_server, stub_session
from tests.annotate.labels.labeled_catalog import HOSTILE
from vujax.annotate.labels import sets
from vujax.annotate.labels.entry import Decision
from vujax.annotate.labels.log import LabelLog
from vujax.catalog.validate import find_problems

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="no chromedriver on this machine"),
]


def test_the_catalog_of_these_tests_is_valid(root: Path) -> None:
    assert list(find_problems(root)) == []


def test_from_a_query_to_200_labels_and_an_export(
    root: Path, browser: Browser, tmp_path: Path
) -> None:
    with run_server(stub_session(root)) as client:
        browser.open(f"http://127.0.0.1:{client.port}/")
        search(browser, "red; -blue")
        best = client.post(
            "/api/search",
            level="shot",
            set="labels",
            terms=[dict(text="red", weight=1), dict(text="blue", weight=-1)],
        )
        (item,) = client.post("/api/items", level="shot", rows=best["rows"][:1])
        assert cursor(browser) == item["id"]
        add_label(browser, "red")
        browser.press(*("y" * 60))
        assert browser.run("document.querySelector('.cursor').id") == "cell-60"
        browser.press(*["Shift+ArrowRight"] * 19, "y")  # a range of 20
        browser.press("v", "ArrowDown", "ArrowDown", "v", "n")
        browser.press("u")
        browser.wait("document.querySelector('.label').textContent.includes('\\u271380 \\u27170')")
        browser.wait(SAVED)
        # Faster than the responses of the server: no item is skipped.
        browser.press(*("n" * 120), "1", "Shift+1", "0")
        browser.wait(SAVED)
        browser.press("u", "u")
        counts = "document.querySelector('.label .counts').textContent"
        browser.wait(f"{counts} === '\\u271381 \\u2717120'")
        browser.wait("document.getElementById('estimate').textContent.includes('Reviewed: ')")
        done = browser.wait(counts)
        holds, fails = (int(part[1:]) for part in done.split())
        assert (holds, fails) == (81, 120)
        browser.screenshot(tmp_path / "labeled.png")
        browser.press("e")
        browser.wait("!!document.querySelector('dialog[open] form')")
        browser.press("Enter")
        said = browser.wait(
            "document.getElementById('exported').querySelector('code')?.textContent"
        )
        browser.press("Escape")
        browser.wait(CLOSED)
        assert browser.console_errors() == []
    found = label_values(root)
    assert len(found) == holds + fails
    with Path(said).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["id"], row["label"]): int(row["value"]) for row in rows} == found
    entries = LabelLog(sets.label_set_path(root, "labels")).state().values()
    assert {entry.decision.query for entry in entries} == {"red; -blue"}
    assert all(entry.decision.score is not None for entry in entries)


def test_learning_sampling_and_doubts(root: Path, browser: Browser, tmp_path: Path) -> None:
    with run_server(stub_session(root)) as client:
        browser.open(f"http://127.0.0.1:{client.port}/")
        search(browser, "green")
        add_label(browser, "green")
        browser.press(*("y" * 8), "End", *("n" * 6))
        browser.wait(SAVED)
        browser.press("r")
        browser.wait("document.querySelector('.term.learned') !== null")
        browser.wait("document.getElementById('estimate').textContent.includes('precision')")
        browser.press("Home", "m")
        browser.wait("document.querySelector('.term.example') !== null")
        browser.press("t", "ArrowRight", "ArrowRight", "Escape", "p")
        browser.wait("document.getElementById('count').textContent.includes('drawn at random')")
        browser.wait("document.querySelector('.cell.cursor:not(.coming)') !== null")
        browser.press("y", "y", "n")
        browser.wait(SAVED)
        browser.wait("document.getElementById('estimate').textContent.includes('Random sample')")
        browser.wait(
            "/still to review|fully reviewed/.test(document.getElementById('estimate').textContent)"
        )
        browser.screenshot(tmp_path / "sample.png")
        sources = {
            e.decision.source
            for e in LabelLog(sets.label_set_path(root, "labels")).state().values()
        }
        assert sources == {"page", "sample"}
        browser.press("q", "c", "o")
        browser.wait("document.getElementById('status').value === 'open'")
        browser.wait("!document.body.classList.contains('busy')")
        assert browser.console_errors() == []


def test_work_is_taken_up_where_it_stopped(root: Path, browser: Browser) -> None:
    with run_server(stub_session(root)) as client:
        address = f"http://127.0.0.1:{client.port}/"
        browser.open(address)
        search(browser, "blue")
        add_label(browser, "blue")
        browser.press("y", "n", "y", "ArrowDown")
        browser.wait(SAVED)
        place = cursor(browser)
        time.sleep(0.4)  # the place is kept when it has been quiet for a while
        browser.open(address)
        assert cursor(browser) == place
        assert browser.run("document.getElementById('words').value") == "blue"
        assert "✓2 ✗1" in browser.text(".label[aria-pressed=true]")


def test_50_000_results(tmp_path: Path, browser: Browser) -> None:
    root = large_catalog(tmp_path / "many", films=50, shots=1000)
    with run_server(stub_session(root)) as client:
        browser.open(f"http://127.0.0.1:{client.port}/")
        browser.run("document.getElementById('fold').checked = false")
        search(browser, "red")
        browser.wait("document.getElementById('count').textContent.startsWith('50,000 shots')")
        for key in ("End", "Home", "PageDown", "PageDown"):
            browser.press(key)
            cursor(browser)
            assert browser.run("document.querySelectorAll('.cell').length") < 150
        browser.press("End")
        browser.wait("!!document.getElementById('cell-49999')?.querySelector('img').naturalWidth")
        assert browser.run("document.querySelector('.cursor').id") == "cell-49999"
        # A person who drags the bar: in the end what is seen is there.
        browser.run(
            "const g = document.getElementById('grid');"
            "for (let i = 0; i <= 40; i++) setTimeout(() => { g.scrollTop = 25000 * i; }, 16 * i);"
            "return 1"
        )
        browser.wait("document.getElementById('grid').scrollTop > 900000")
        browser.wait(
            "document.querySelectorAll('.cell').length > 10 && "
            "document.querySelectorAll('.cell.coming').length === 0"
        )
        browser.screenshot(tmp_path / "many.png")
        assert browser.console_errors() == []


def test_two_browsers_on_one_catalogue(
    root: Path, browser: Browser, start: Callable[[], Browser]
) -> None:
    other = start()
    with (
        run_server(stub_session(root)) as first,
        run_server(stub_session(root)) as second,
    ):  # two servers as well
        browser.open(f"http://127.0.0.1:{first.port}/")
        other.open(f"http://127.0.0.1:{second.port}/")
        for one in (browser, other):
            search(one, "red")
        bar = "document.getElementById('labels').textContent"
        other.run("document.getElementById('author').value = 'ben'")
        add_label(browser, "red")
        add_label(other, "warm")
        browser.press(*("y" * 15))
        other.press(*("n" * 5))
        browser.press(*("n" * 15))
        other.press(*("y" * 25))
        for one in (browser, other):
            one.wait(SAVED)
            one.wait("document.querySelectorAll('.label').length === 2")  # the other's too
            one.wait(f"{bar}.includes('\\u271315 \\u271715')")
            one.wait(f"{bar}.includes('\\u271325 \\u27175')")
        found = label_values(root)
        assert len(found) == 60
        browser.press("u")  # takes back ann's last, not ben's
        browser.wait(f"{bar}.includes('\\u271315 \\u271714')")
        other.wait(f"{bar}.includes('\\u271315 \\u271714')")
        assert len(label_values(root)) == 59
        assert browser.console_errors() == other.console_errors() == []


HOSTILE_TITLE = f'<img src=x onerror="window.hacked=1">{HOSTILE} {{}}'


def test_markup_in_titles_and_labels_is_text(tmp_path: Path, browser: Browser) -> None:
    root = large_catalog(tmp_path / "hostile", films=1, shots=40, title=HOSTILE_TITLE)
    ids = [f"film-0000-00000000/s{shot:04d}" for shot in range(3)]
    with LabelLog(sets.label_set_path(root, "labels")) as log:
        log.append([Decision(item, HOSTILE, 1) for item in ids], author="<script>")
    with run_server(stub_session(root)) as client:
        browser.open(f"http://127.0.0.1:{client.port}/")
        title = HOSTILE_TITLE.format(0)
        search(browser, "<script>window.hacked=1</script>; -<b>red</b>")
        browser.wait(f"document.querySelector('#detail h2')?.textContent === {title!r}")
        assert browser.text(".label .text") == HOSTILE
        add_label(browser, '"><svg onload="window.hacked=1">')
        browser.press("y", "e")
        browser.wait("!!document.querySelector('dialog[open] form')")
        browser.press("Enter")
        browser.wait("!!document.getElementById('exported').querySelector('code')")
        browser.screenshot(tmp_path / "hostile.png")
        browser.press("Escape")
        browser.wait(CLOSED)
        browser.press("f")
        browser.type("<img src=x onerror=window.hacked=1>")
        browser.press("Enter")
        browser.wait("!document.getElementById('note').hidden")
        assert "<img" in browser.text("#note")
        assert browser.run("window.hacked === undefined")
        assert browser.run("document.querySelectorAll('script').length") == 1
        assert browser.run("document.querySelectorAll('main b script, main svg').length") == 0
        assert [c for c in browser.console_errors() if "400" not in c] == []


def test_the_player_begins_where_the_shot_does(tmp_path: Path, browser: Browser) -> None:
    root = embedded_catalog(tmp_path, 1)
    with run_server(stub_session(root)) as client:
        browser.open(f"http://127.0.0.1:{client.port}/")
        browser.press("Escape", "ArrowRight", "ArrowRight")
        browser.wait("document.querySelector('#detail .strip .here') !== null")
        begin = stub_session(root).catalog.shots()["begin_s"][2].as_py()
        browser.press("Space")
        browser.wait("document.querySelector('video')?.readyState >= 2")
        at = browser.wait("document.querySelector('video').currentTime")
        assert at >= begin - 0.05
        browser.press("Escape")
        browser.wait("document.querySelector('video') === null")
        browser.click("#cell-1", times=2)
        browser.wait("document.querySelector('video')?.readyState >= 2")
        browser.click("#detail .strip:not(.wide) li:first-child button")
        browser.wait("document.querySelector('video')?.readyState >= 2")
        browser.wait("document.querySelector('video').currentTime < 0.7")
        browser.press("Escape", "ArrowRight")
        next((tmp_path / "in").iterdir()).unlink()
        browser.press("ArrowLeft")
        missing = browser.wait("document.querySelector('.missing')?.textContent")
        assert "The film is not available" in missing


SERVER = """
import sys
from pathlib import Path
from tests.annotate.app.serving import stub_session
from vujax.annotate.app.server import serve
port = int(sys.argv[2])
serve(stub_session(Path(sys.argv[1])), port=port, ready=lambda text: print(text, flush=True))
"""


def test_kill_9_of_the_server_loses_nothing(root: Path, browser: Browser) -> None:
    def server(port: int) -> tuple[subprocess.Popen, str]:
        words = [sys.executable, "-c", SERVER, str(root), str(port)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        return process, process.stdout.readline().strip()

    process, address = server(0)
    try:
        browser.open(address)
        search(browser, "red")
        add_label(browser, "red")
        browser.press(*("y" * 30))
        process.send_signal(signal.SIGKILL)
        process.wait()
        browser.press(*("n" * 5))
        browser.wait("document.getElementById('note').textContent.startsWith('Not saved yet')")
        assert "not saved yet" in browser.text("#saved")
        process, _ = server(int(address.rpartition(":")[2].strip("/")))
        browser.wait(SAVED)
        browser.wait("document.getElementById('note').hidden")
        found = label_values(root)
        assert len(found) == 35
        assert sum(value > 0 for value in found.values()) == 30
        browser.console_errors()
    finally:
        process.kill()
        process.wait()
