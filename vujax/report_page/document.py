"""A page that needs nothing else: no script runs on it, and its policy lets nothing in."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources

from vujax.report_page.markup import Markup, tag

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def document(title: str, body: Sequence[Markup], packages: Sequence[str] = ()) -> str:
    """A whole page.

    Args:
      title: of it.
      body: what is on it; a line that says who wrote it and when goes below.
      packages: whose style.css follow the report's. They are ours, and stand as they are.
    """
    files = (resources.files(p) / "style.css" for p in ("vujax.report_page", *packages))
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", title),
        tag("style", Markup("".join(file.read_text("utf-8") for file in files))),
    ]
    foot = tag("footer", f"Written by vujax, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    return "<!doctype html>\n" + tag("html", tag("head", head), tag("body", body, foot), lang="en")
