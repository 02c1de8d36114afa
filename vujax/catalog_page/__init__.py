"""The page of a catalogue: each film's shots with their times, on one page that needs nothing else.

No script runs on it and its content security policy lets nothing in, so it opens from a file, a
mail or an object store, offline, and shows whatever a title holds as text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vujax.catalog import Catalog
from vujax.catalog.words import clock, printable
from vujax.catalog_page.film import section
from vujax.files import write_atomically
from vujax.report_page.document import document
from vujax.report_page.markup import Markup, join, tag

MOST_PICTURES = 2400  # of 3 KB each: with more, films show every second shot, or third ...
MOST_FILMS = 200
MOST_ERRORS = 500
OPEN_FILMS = 5  # with more films than this they are folded


def write_page(catalog: Catalog, path: Path, films: Sequence[str] | None = None) -> Path:
    """Writes the page of a catalogue.

    Args:
      catalog: to show.
      path: of the page; it appears whole or not at all.
      films: ids of those to show; None: all, or the first 200 of them.

    Raises:
      KeyError: a film is not in the catalogue.
      FileNotFoundError, ValueError: a file of the catalogue is missing or damaged.
    """
    if films is None:
        rows = catalog.films().to_pylist()
    else:
        rows = [row for film in films for row in catalog.films(film).to_pylist()]
    page = _page(catalog, rows)
    return write_atomically(path, lambda p: p.write_text(page, encoding="utf-8"))


def _page(catalog: Catalog, rows: list[dict[str, Any]]) -> str:
    title = f"{catalog.path.resolve().name}: vujax catalogue"
    body = [_header(catalog, rows), tag("main", _errors(rows), _films(catalog, rows))]
    return document(title, body, ["vujax.catalog_page"])


def _header(catalog: Catalog, rows: list[dict[str, Any]]) -> Markup:
    bad = sum(row["status"] == "error" for row in rows)
    partial = sum(row["status"] == "partial" for row in rows)
    seconds = sum((row["end_s"] or 0) - (row["begin_s"] or 0) for row in rows)
    tiles = {
        "Films": f"{len(rows):,}",
        "Film time": clock(seconds),
        "Shots": f"{sum(row['shots'] or 0 for row in rows):,}",
        "Keyframes": f"{sum(row['keyframes'] or 0 for row in rows):,}",
        "In part": f"{partial:,}",
        "Errors": f"{bad:,}",
    }
    pairs = [tag("div", tag("dt", name), tag("dd", value)) for name, value in tiles.items()]
    return tag("header", tag("h1", catalog.path.resolve().name), tag("dl", pairs, class_="tiles"))


def _errors(rows: list[dict[str, Any]]) -> Markup | None:
    bad = [row for row in rows if row["status"] == "error"]
    if not bad:
        return None
    lines = [
        tag("tr", tag("th", printable(row["path"]), scope="row"), tag("td", row["reason"]))
        for row in bad[:MOST_ERRORS]
    ]
    more = f"{len(bad) - MOST_ERRORS} more are not listed." if len(bad) > MOST_ERRORS else None
    head = tag("thead", tag("tr", tag("th", "File", scope="col"), tag("th", "Why", scope="col")))
    caption = tag("caption", "Files that could not be read")
    table = tag("table", caption, head, tag("tbody", lines))
    return tag(
        "section",
        tag("h2", "Files that could not be read"),
        tag("div", table, class_="card scroll errors"),
        tag("p", more, class_="note") if more else None,
    )


def _films(catalog: Catalog, rows: list[dict[str, Any]]) -> Markup:
    good = [row for row in rows if row["status"] != "error"]
    shown = good[:MOST_FILMS]
    every = max(1, -(-sum(row["shots"] for row in shown) // MOST_PICTURES))
    notes = []
    if len(shown) < len(good):
        notes.append(f"The first {len(shown)} of {len(good)} films; --film names others.")
    if every > 1:
        notes.append(f"One shot in {every} is shown; --film with one film shows more of it.")
    folded = len(shown) > OPEN_FILMS
    sections = [section(catalog, row, every, folded=folded) for row in shown]
    return join([tag("p", note, class_="note") for note in notes] + sections)
