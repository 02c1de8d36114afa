"""Pages, as tests read them."""

import subprocess
from html.parser import HTMLParser
from pathlib import Path


class Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, name: str, class_: str = "") -> list[dict]:
        """Attributes of all elements of a name, and of a class."""
        found = [a for tag, a in self.tags if tag == name]
        return [a for a in found if not class_ or class_ in a.get("class", "").split()]


def widths(page: Path, width: int) -> tuple[int, int]:
    """The width of a page in Chromium, and of the window: what is wider would make it scroll."""
    probe = page.read_text("utf-8").replace("Content-Security-Policy", "x")
    script = "document.title = document.documentElement.scrollWidth + ' of ' + innerWidth"
    probed = page.with_name("probed.html")
    probed.write_text(probe.replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        f"--window-size={width},800",
    ]
    command = ["chromium", *flags, f"--user-data-dir={page.parent / 'profile'}", probed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    seen, of = done.stdout.partition("<title>")[2].partition("</title>")[0].split(" of ")
    return int(seen), int(of)
