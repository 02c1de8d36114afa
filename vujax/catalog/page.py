"""HTML page of a catalog: each film's facts, the rhythm of its cuts, and its shots.

The page is self-contained: it has no script, and its content security policy blocks every request.
It opens from a file, a mail or an object store, offline, and shows any title as text.
"""

import base64
import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from vujax.catalog import Catalog, Id, schema
from vujax.catalog.records import RecordReader
from vujax.catalog.schema import build_clock
from vujax.utils.formatting import format_clock, format_short_clock, quote_unprintable
from vujax.utils.html.document import Markup, document, join, tag
from vujax.utils.io import write_text
from vujax.video.timecode import Clock

MAX_THUMBNAILS = 2400  # of 3 KB each; films with more show every second shot, or third, ...
MAX_FILMS = 200
MAX_ERRORS = 500
MAX_OPEN_FILMS = 5  # with more films, each is folded
MAX_TEXT_LENGTH = 2000  # characters of a metadata value
THUMBNAIL_SIZE = (128, 128)
QUALITY = 55
TIMELINE_WIDTH = 1000  # units of the timeline's view box
SHOWN_FACTS = ("film", "path", "folder", "detector")


def write_page(catalog: Catalog, path: Path, films: Sequence[str] | None = None) -> Path:
    """Write the page of a catalog atomically.

    Args:
      catalog: catalog to show.
      path: path of the page.
      films: ids of the films to show; None for the first MAX_FILMS.

    Raises:
      KeyError: a film is not in the catalog.
      FileNotFoundError, ValueError: a file of the catalog is missing or damaged.
    """
    if films is None:
        rows = catalog.films().to_pylist()
    else:
        rows = [row for film in films for row in catalog.films(film).to_pylist()]
    page = _page(catalog, rows)
    return write_text(path, page)


def _page(catalog: Catalog, rows: list[dict[str, Any]]) -> str:
    title = f"{catalog.path.resolve().name}: vujax catalog"
    body = [_header(catalog, rows), tag("main", _errors(rows), _films(catalog, rows))]
    return document(title, body, ["vujax.catalog"])


def _header(catalog: Catalog, rows: list[dict[str, Any]]) -> Markup:
    errors = sum(row["status"] == "error" for row in rows)
    partial = sum(row["status"] == "partial" for row in rows)
    seconds = sum((row["end_s"] or 0) - (row["begin_s"] or 0) for row in rows)
    tiles = {
        "Films": f"{len(rows):,}",
        "Film time": format_clock(seconds),
        "Shots": f"{sum(row['shots'] or 0 for row in rows):,}",
        "Keyframes": f"{sum(row['keyframes'] or 0 for row in rows):,}",
        "Partial": f"{partial:,}",
        "Errors": f"{errors:,}",
    }
    pairs = [tag("div", tag("dt", name), tag("dd", value)) for name, value in tiles.items()]
    return tag("header", tag("h1", catalog.path.resolve().name), tag("dl", pairs, class_="tiles"))


def _errors(rows: list[dict[str, Any]]) -> Markup | None:
    bad = [row for row in rows if row["status"] == "error"]
    if not bad:
        return None
    lines = [
        tag("tr", tag("th", quote_unprintable(row["path"]), scope="row"), tag("td", row["reason"]))
        for row in bad[:MAX_ERRORS]
    ]
    more = f"{len(bad) - MAX_ERRORS} more are not listed." if len(bad) > MAX_ERRORS else None
    head = tag("thead", tag("tr", tag("th", "File", scope="col"), tag("th", "Reason", scope="col")))
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
    shown = good[:MAX_FILMS]
    every = max(1, -(-sum(row["shots"] for row in shown) // MAX_THUMBNAILS))
    notes = []
    if len(shown) < len(good):
        notes.append(f"The first {len(shown)} of {len(good)} films; select others with --film.")
    if every > 1:
        notes.append(f"One shot in {every} is shown; select one film with --film for more.")
    folded = len(shown) > MAX_OPEN_FILMS
    sections = [build_section(catalog, row, every, folded=folded) for row in shown]
    return join([tag("p", note, class_="note") for note in notes] + sections)


def build_section(catalog: Catalog, row: dict[str, Any], every: int, *, folded: bool) -> Markup:
    """Build the section of a film that has shots.

    Args:
      catalog: catalog of the film.
      row: row of the film.
      every: show one shot in `every`.
      folded: show only the heading until the section is opened.
    """
    shots = catalog.shots(row["film"]).to_pylist()
    name = str(row.get("title") or quote_unprintable(row["path"]))
    plural = "s" * (len(shots) != 1)
    length = f"{format_clock(row['end_s'] - row['begin_s'])}, {len(shots):,} shot{plural}"
    content = [
        tag("p", row["reason"], class_="warning", role="status") if row["reason"] else None,
        _facts(row),
        _timeline(shots, row),
        tag("ol", _shots(catalog, row, shots, every), class_="shots"),
    ]
    summary = tag("summary", tag("h2", name), tag("span", length, class_="note"))
    return tag("details", summary, content, class_="film", open=not folded, id=row["film"])


def _facts(row: dict[str, Any]) -> Markup:
    facts = {name: quote_unprintable(str(row[name])) for name in SHOWN_FACTS}
    rate = Fraction(row["rate_num"], row["rate_den"])
    special = [name for name in ("variable_rate", "interlaced", "hdr") if row[name]]
    facts["video"] = ", ".join(
        [f"{row['width']}x{row['height']}", f"{float(rate):.6g} frames/s", row["codec"]]
        + [name.replace("_", " ") for name in special]
    )
    facts["sound"] = "yes" if row["sound"] else "none"
    for name, value in row.items():
        if name not in schema.FILMS.names and value not in (None, "", []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            facts[name] = text if len(text) <= MAX_TEXT_LENGTH else f"{text[:MAX_TEXT_LENGTH]} ..."
    return tag("dl", [[tag("dt", k), tag("dd", str(v))] for k, v in facts.items()], class_="facts")


def _timeline(shots: list[dict[str, Any]], row: dict[str, Any]) -> Markup:
    """Build a bar of the shots in alternating shades, with marks for gradual transitions."""
    start_s, length_s = row["begin_s"], max(row["end_s"] - row["begin_s"], 1e-9)

    def position(seconds: float) -> str:
        return f"{(seconds - start_s) / length_s * TIMELINE_WIDTH:.2f}"

    time = build_clock(row)
    dark, slow = [], []
    for shot in shots:
        if shot["shot"] % 2:
            dark.append(f"M{position(shot['begin_s'])} 0V20H{position(shot['end_s'])}V0Z")
        if shot["transition"] not in (None, "cut"):
            span = (shot["transition_begin_pts"], shot["transition_end_pts"])
            first, last = (position(float(time.seconds(pts))) for pts in span)
            slow.append(f"M{first} 20V28H{last}V20Z")
    return tag(
        "svg",
        tag("path", d=f"M0 0V20H{TIMELINE_WIDTH}V0Z", class_="even"),
        tag("path", d="".join(dark), class_="odd"),
        tag("path", d="".join(slow), class_="slow"),
        class_="timeline",
        viewBox=f"0 0 {TIMELINE_WIDTH} 28",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{len(shots)} shots on the timeline of the film",
    )


def _shots(
    catalog: Catalog, row: dict[str, Any], shots: list[dict[str, Any]], every: int
) -> list[Markup]:
    film = row["film"]
    frames = group_keyframe_records(catalog.keyframes(film))
    reader = catalog.jpegs(film) if frames else None
    time = build_clock(row)
    return [_shot(shot, frames.get(shot["shot"], []), reader, time) for shot in shots[::every]]


def group_keyframe_records(keyframes: pa.Table) -> dict[int, list[int]]:
    """Return the records of each shot's keyframes, by shot number, for shots with keyframes.

    Args:
      keyframes: table of the keyframes of one film.
    """
    records: dict[int, list[int]] = {}
    columns = keyframes.select(["shot", "record"]).to_pydict()
    for shot, record in zip(columns["shot"], columns["record"], strict=True):
        records.setdefault(shot, []).append(record)
    return records


def _shot(
    shot: dict[str, Any], records: list[int], reader: RecordReader | None, time: Clock
) -> Markup:
    start_s, end_s = shot["begin_s"], shot["end_s"]
    tip = (
        f"{shot['id']}\nfrom {time.timecode(shot['begin_pts'])} ({start_s:.3f} s) "
        f"to {time.timecode(shot['end_pts'])} ({end_s:.3f} s)\n"
        f"frames {shot['first_frame']} to {shot['last_frame']}"
    )
    kind = shot["transition"]
    if kind:
        tip += f"\nstarts with a {kind}, score {shot['transition_score']:.2f}"
    image = tag("span", class_="none")
    if records:
        middle = records[len(records) // 2]
        image = tag(
            "img",
            src=build_thumbnail_uri(reader[middle]),
            alt=f"shot {shot['shot']}",
            loading="lazy",
        )
    name = str(Id(shot["film"], shot["shot"])).rpartition("/")[2]
    return tag(
        "li",
        image,
        tag("b", format_short_clock(start_s)),
        tag("span", f"{end_s - start_s:.1f} s", class_="length"),
        tag("span", name, class_="name"),
        tag("i", kind) if kind not in (None, "cut") else None,
        title=tip,
        class_=None if kind in (None, "cut") else "slow",
    )


def build_thumbnail_uri(data: bytes, size: tuple[int, int] = THUMBNAIL_SIZE) -> str:
    """Return a data URI of a JPEG file scaled down to at most `size`."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        image.draft("RGB", size)
        small = image.convert("RGB")
    small.thumbnail(size)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
