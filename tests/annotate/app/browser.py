"""Headless Chromium through the WebDriver protocol, with only the standard library."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1440,900",
)
# https://www.w3.org/TR/webdriver/#keyboard-actions
KEYS = {
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Shift": "\ue008",
    "Ctrl": "\ue009",
    "Backspace": "\ue003",
    "Delete": "\ue017",
    "ArrowLeft": "\ue012",
    "ArrowUp": "\ue013",
    "ArrowRight": "\ue014",
    "ArrowDown": "\ue015",
    "PageDown": "\ue00f",
    "End": "\ue010",
    "Home": "\ue011",
    "Tab": "\ue004",
    "Space": " ",
}
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


SAVED = "document.getElementById('saved').textContent === 'All saved'"
CLOSED = "!document.querySelector('dialog[open]')"


class Browser:
    """A browser window."""

    def __init__(self, driver: str, session: str) -> None:
        self._root = f"{driver}/session/{session}"

    def open(self, address: str) -> None:
        """Open the labeling page and wait until it is ready."""
        _call("POST", f"{self._root}/url", url="about:blank")
        self.console_errors()  # drop errors of a page whose server has stopped
        _call("POST", f"{self._root}/url", url=address)
        self.wait("document.body.dataset.ready === '1'")

    def run(self, code: str, *arguments: Any) -> Any:
        """Run a script, or evaluate an expression, and return its value."""
        script = code if "return" in code else f"return ({code})"
        return _call("POST", f"{self._root}/execute/sync", script=script, args=list(arguments))

    def wait(self, code: str, seconds: float = 90) -> Any:
        """Wait until an expression is true, and return its value."""
        until = time.monotonic() + seconds
        while True:
            found = self.run(code)
            if found:
                return found
            if time.monotonic() > until:
                raise AssertionError(f"never true: {code}\n{self.run('document.body.innerText')}")
            time.sleep(0.02)

    def press(self, *keys: str) -> None:
        """Press keys one after the other; 'Shift+1' holds Shift."""
        actions = []
        for key in keys:
            *held, last = (KEYS.get(part, part) for part in _parts(key))
            actions += [dict(type="keyDown", value=one) for one in (*held, last)]
            actions += [dict(type="keyUp", value=one) for one in (last, *reversed(held))]
        keyboard = dict(type="key", id="keyboard", actions=actions)
        _call("POST", f"{self._root}/actions", actions=[keyboard])

    def type(self, text: str) -> None:
        """Type a text into the focused element."""
        self.press(*text)

    def click(self, selector: str, times: int = 1, pointer: str = "mouse") -> None:
        """Click, or tap with the pointer 'touch', on the middle of an element."""
        found = "document.querySelector(arguments[0])"
        self.run(f"return {found}.scrollIntoView({{block: 'nearest'}})", selector)
        box = self.run(f"return {found}.getBoundingClientRect().toJSON()", selector)
        x, y = (int(box[at] + box[size] / 2) for at, size in (("x", "width"), ("y", "height")))
        actions = [dict(type="pointerMove", x=x, y=y), *[_button("Down"), _button("Up")] * times]
        kind = dict(type="pointer", id=pointer, parameters=dict(pointerType=pointer))
        _call("POST", f"{self._root}/actions", actions=[kind | dict(actions=actions)])

    def resize(self, width: int, height: int) -> None:
        """Set the size of the viewport in CSS pixels; both 0: that of the window."""
        size = dict(width=width, height=height, deviceScaleFactor=0, mobile=False)
        self.cdp("Emulation.setDeviceMetricsOverride", **size)
        self.wait(f"!{width} || innerWidth === {width}")

    def search(self, words: str) -> None:
        """Search for a query by keyboard, and wait for the results."""
        self.press("Escape", "/")
        self.run("document.activeElement.select()")
        self.type(words)
        self.press("Enter")
        self.wait("!document.body.classList.contains('busy')")

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def screenshot(self, path: Path) -> None:
        """Save a screenshot."""
        data = _call("GET", f"{self._root}/screenshot")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))

    def dark(self, dark: bool = True) -> None:
        """Set the preferred color scheme."""
        scheme = dict(name="prefers-color-scheme", value="dark" if dark else "light")
        self.cdp("Emulation.setEmulatedMedia", features=[scheme])

    def cdp(self, command: str, **parameters: Any) -> Any:
        """Run a command of the DevTools protocol."""
        return _call("POST", f"{self._root}/goog/cdp/execute", cmd=command, params=parameters)

    def console_errors(self) -> list[str]:
        """Return the errors of the console since the last call."""
        found = _call("POST", f"{self._root}/se/log", type="browser")
        return [entry["message"] for entry in found if entry["level"] == "SEVERE"]


def _button(direction: str) -> dict[str, Any]:
    return dict(type=f"pointer{direction}", button=0)


def _parts(key: str) -> list[str]:
    return key.split("+") if len(key) > 1 else [key]


@contextlib.contextmanager
def chromium() -> Iterator[Callable[[], Browser]]:
    """Yield a function that opens windows, each in its own browser with an empty profile."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        words = [shutil.which("chromedriver"), f"--port={port}", "--log-level=OFF"]
        driver = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        address, sessions = f"http://127.0.0.1:{port}", []
        try:
            _ready(address)

            def start() -> Browser:
                profile = f"--user-data-dir={folder}/{len(sessions)}"
                options = dict(args=[*FLAGS, profile], binary=shutil.which("chromium"))
                wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
                made = _call("POST", f"{address}/session", capabilities=dict(alwaysMatch=wanted))
                sessions.append(made["sessionId"])
                return Browser(address, made["sessionId"])

            yield start
        finally:
            for session in sessions:
                with contextlib.suppress(OSError, AssertionError):
                    _call("DELETE", f"{address}/session/{session}")
            driver.terminate()
            driver.wait(20)


def _ready(address: str) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            if _call("GET", f"{address}/status")["ready"]:
                return
        except OSError:
            if time.monotonic() > until:
                raise
        time.sleep(0.05)


def _call(method: str, address: str, **body: Any) -> Any:
    data = json.dumps(body).encode() if method == "POST" else None
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(address, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(json.load(error)["value"]["message"]) from None


def add_label(browser: Browser, label: str) -> None:
    """Add a label by keyboard."""
    browser.press("Escape", ".")
    browser.wait("document.querySelector('dialog[open] #line') === document.activeElement")
    browser.type(label)
    browser.press("Enter")
    browser.wait(CLOSED)
    # The browser announces the end of the dialog a moment later, and the grid takes the focus then.
    browser.wait("document.activeElement === document.getElementById('grid')")


def search(browser: Browser, words: str) -> None:
    """Search for a query with results, and wait until the first one is shown."""
    browser.search(words)
    browser.wait("document.querySelector('.cell.cursor:not(.coming)') !== null")


def cursor(browser: Browser) -> str:
    """Return the id of the current item."""
    return browser.wait(
        "document.querySelector('.cell.cursor:not(.coming)')?.title.split('\\n')[1]"
    )
