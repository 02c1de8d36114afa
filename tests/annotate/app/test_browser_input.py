"""Keys, pointers and window sizes of the labeling page: labels change only when that is meant."""

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.annotate.app.browser import CLOSED, SAVED, Browser, add_label, search
from tests.annotate.app.serving import label_values, run_server, stub_session
from tests.configs import ROOT
from vujax.annotate.labels import sets

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="no chromedriver on this machine"),
]

PLAIN_KEYS = (
    *"ynuU0123456789",
    *(f"Shift+{digit}" for digit in range(1, 10)),
    *("Backspace", "Delete", "Ctrl+a", "Ctrl+z", "Ctrl+y", "Ctrl+Shift+z"),
    *("ArrowRight", "ArrowDown", "Home", "End", "PageDown"),
    *"vhjklabcdegimopqrstwxzFSCf./?",  # some move the focus, or open a dialog
)
CLOSE = """
const dialog = document.querySelector("dialog");
return new Promise((done) => {
  if (!dialog.open) done();
  dialog.addEventListener("close", () => setTimeout(done), { once: true });
  dialog.close();
});
"""
CONTROLS = """
const all = [document.body, ...document.querySelectorAll("a, button, input, select, [tabindex]")];
window.controls = all.filter((one) => !one.closest("#grid, #detail, dialog")
  && (one === document.body || one.getClientRects().length));
return window.controls.map((one) => one.id || one.value || one.textContent || one.tagName)
"""
RESET = """
for (const id of ["words", "where"]) document.getElementById(id).value = "";
document.getElementById("status").value = "all";
document.getElementById("query").requestSubmit();
return 1
"""
FOCUS = """
document.activeElement.blur();
window.controls[arguments[0]].focus();
return document.activeElement === window.controls[arguments[0]]
"""


def test_keys_of_other_controls_label_nothing(root: Path, browser: Browser) -> None:
    with run_server(stub_session(root)) as client:
        browser.open(f"http://127.0.0.1:{client.port}/")
        search(browser, "red")
        add_label(browser, "red")
        browser.press("y", "n", "y", "u")  # something to undo, and something to redo
        browser.wait(SAVED)
        log = sets.label_set_path(root, "labels")
        before = log.read_bytes()
        controls = browser.run(CONTROLS)
        assert {"words", "where", "threshold", "export", "add-label", "shot"} <= set(controls)
        for number, control in enumerate(controls):
            browser.run(CLOSE)
            browser.run(RESET)
            browser.wait("!document.body.classList.contains('busy')")
            assert browser.run("document.querySelectorAll('.cell').length") > 10
            for keys in (PLAIN_KEYS, ("Enter",), ("Enter", "Enter"), ("Space",)):
                browser.run(CLOSE)
                if browser.run(FOCUS, number):
                    browser.press(*keys)
                    browser.wait("!document.body.classList.contains('busy')")
                    browser.wait(SAVED)
                    assert log.read_bytes() == before, f"{keys} on {control}"
        browser.run(CLOSE)
        browser.run(RESET)
        browser.wait("!document.body.classList.contains('busy')")
        search(browser, "red")
        browser.press("y")  # the same key in the grid
        browser.wait(SAVED)
        assert len(log.read_bytes()) > len(before)
        browser.run("document.getElementById('detail').focus()")
        browser.press("n")
        browser.wait(SAVED)
        assert log.read_bytes().count(b"\n") == before.count(b"\n") + 2
        browser.console_errors()  # filters made of all letters are refused


SLOW_SEARCH = """
const ask = fetch;
window.fetch = async (path, options) => {
  if (path === "/api/search") await new Promise((done) => setTimeout(done, 1500));
  return ask(path, options);
};
return 1
"""


def test_enter_after_a_search_labels_nothing(root: Path, browser: Browser) -> None:
    with run_server(stub_session(root)) as client:
        browser.open(f"http://127.0.0.1:{client.port}/")
        search(browser, "red")
        add_label(browser, "red")
        browser.press("n")
        browser.wait(SAVED)
        browser.run(SLOW_SEARCH)
        browser.press("/", *"blue", "Enter", "Enter", "y", "Enter", "n")  # while the search runs
        assert browser.text("#note") == "Nothing was labeled: the search is still running."
        browser.press("/", "Enter")
        browser.wait("!document.body.classList.contains('busy')")
        browser.press("Enter")
        assert browser.text("#note").startswith("Nothing was labeled: the Enter before")
        browser.wait(SAVED)
        assert list(label_values(root).values()) == [-1]
        browser.run("document.getElementById('grid').focus()")
        browser.press("ArrowRight", "Enter")
        browser.wait(SAVED)
        assert sorted(label_values(root).values()) == [-1, 1]
        assert browser.console_errors() == []


def test_a_label_is_asked_for_undone_and_redone(root: Path, browser: Browser) -> None:
    with run_server(stub_session(root)) as client:
        browser.open(f"http://127.0.0.1:{client.port}/")
        search(browser, "red")
        browser.press("y")
        browser.wait("document.querySelector('dialog[open] #line') === document.activeElement")
        browser.type("car")
        browser.press("Enter")
        browser.wait(CLOSED)
        browser.wait(SAVED)
        assert list(label_values(root).values()) == [1]
        counts = "document.querySelector('.label .counts').textContent"
        browser.press("n", "Ctrl+z", "u", "Ctrl+z", "Ctrl+Shift+z", "U", "Ctrl+y")
        browser.wait(f"{counts} === '\u27131 \u27171'")
        browser.wait("document.getElementById('note').textContent === 'Nothing to redo.'")
        assert sorted(label_values(root).values()) == [-1, 1]
        browser.press("e")
        browser.wait("!!document.querySelector('dialog[open] form')")
        browser.run("document.querySelector('[name=label]').click()")
        browser.press("Enter")
        browser.wait("document.getElementById('exported').textContent.includes('No label is')")
        assert not (root / "exports").exists()
        browser.press("Escape")
        browser.wait(CLOSED)
        assert len(browser.console_errors()) == 1  # the refused third undo


@pytest.mark.parametrize("pointer", ["mouse", "touch"])
def test_labels_by_a_pointer_alone(root: Path, browser: Browser, pointer: str) -> None:
    def click(selector: str) -> None:
        browser.click(selector, pointer=pointer)

    with run_server(stub_session(root)) as client:
        browser.open(f"http://127.0.0.1:{client.port}/")
        click("#query .main")
        browser.wait("document.querySelector('.cell.cursor:not(.coming)') !== null")
        click("#actions .yes")
        browser.wait("document.querySelector('dialog[open] #line') === document.activeElement")
        browser.type("car")
        click("dialog .main")
        browser.wait(CLOSED)
        for selector in (".no", ".no", "[data-key=u]", "#pick"):
            click(f"#actions {selector}")
        for place in (4, 6, 7, 6):
            click(f"#cell-{place}")
        assert browser.text("#selected") == "2 selected"
        assert browser.text("#say") == "2 selected"
        chosen = (
            "return [...document.querySelectorAll('[aria-selected=true]')].map((one) => one.id)"
        )
        assert sorted(browser.run(chosen)) == ["cell-4", "cell-7"]
        click("#actions .no")
        browser.wait(SAVED)
        browser.wait("document.querySelector('.counts').textContent === '\u27131 \u27173'")
        assert browser.run("document.activeElement.id") == "grid"
        assert sorted(label_values(root).values()) == [-1, -1, -1, 1]
        click("#actions [data-key=m]")
        browser.wait("document.querySelector('.term.example') !== null")
        assert browser.console_errors() == []


def test_toolbars_have_their_own_keys(root: Path, browser: Browser) -> None:
    focused = "document.activeElement.textContent"
    with run_server(stub_session(root)) as client:
        browser.open(f"http://127.0.0.1:{client.port}/")
        for label in ("car", "boat"):
            add_label(browser, label)
        browser.run("document.querySelector('.label').focus()")
        browser.press("ArrowRight", "Enter")
        assert "boat" in browser.run(focused)
        assert "boat" in browser.text(".label[aria-pressed=true]")
        browser.press("ArrowRight")
        assert "Add label" in browser.run(focused)
        browser.press("ArrowRight", "Space")
        assert "car" in browser.text(".label[aria-pressed=true]")
        browser.run("document.querySelector('#actions button').focus()")
        browser.press("ArrowRight", "ArrowRight", "Enter")  # No
        browser.wait(SAVED)
        assert list(label_values(root).values()) == [-1]
        assert "No" in browser.run(focused)


SIZES = [(1440, 900), (800, 900), (720, 450), (390, 844), (360, 225)]


@pytest.fixture
def resized(browser: Browser) -> Iterator[Browser]:
    yield browser
    browser.resize(0, 0)
    browser.dark(False)


def test_results_and_actions_fit_small_windows(root: Path, resized: Browser) -> None:
    with run_server(stub_session(root)) as client:
        for size in SIZES:
            resized.resize(*size)
            resized.open(f"http://127.0.0.1:{client.port}/")
            resized.wait("document.querySelector('.cell.cursor:not(.coming)') !== null")
            assert resized.run("document.documentElement.scrollWidth <= innerWidth"), size
            assert resized.run("document.getElementById('results').offsetHeight >= 256"), size
            side = resized.run("document.body.dataset.detail")
            assert side == ("side" if size[0] > 900 else "bar")
            if side == "bar":
                resized.click("#details")
                assert resized.run("document.body.dataset.detail") == "drawer"
                assert resized.run("document.querySelector('#stage img').width > 100")
                resized.press("Escape")
                assert resized.run("document.body.dataset.detail") == "bar"


AXE = Path(os.environ.get("AXE_CORE", ROOT / "node_modules/axe-core/axe.min.js"))
VIOLATIONS = """
return axe.run(document).then((found) => found.violations.map(
  (one) => one.id + ": " + one.nodes.map((node) => node.html.slice(0, 100)).slice(0, 3)))
"""


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: npm install --no-save axe-core")
def test_axe_finds_no_violation(root: Path, resized: Browser) -> None:
    with run_server(stub_session(root)) as client:
        for dark, size in itertools.product((False, True), ((1440, 900), (720, 450), (390, 844))):
            resized.dark(dark)
            resized.resize(*size)
            resized.open(f"http://127.0.0.1:{client.port}/")
            search(resized, "red; -blue")
            add_label(resized, "red")
            resized.press("y", "n", "Shift+ArrowRight", "m")
            resized.wait("document.querySelector('#detail .strip') !== null")
            resized.wait("document.querySelector('.cell.cursor:not(.coming)') !== null")
            resized.wait(SAVED)
            resized.run(f"{AXE.read_text()}; return 1")
            for key in ("Shift+ArrowRight", "i", "i", "e", "Escape", "?"):
                resized.press(key)
                assert resized.run(VIOLATIONS) == [], (dark, size, key)
