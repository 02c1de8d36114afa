"""One film on the page: its facts, the rhythm of its cuts, and its shots."""

import base64
import io
from fractions import Fraction
from typing import Any

from PIL import Image

from vujax.catalog import Catalog, Id, layout
from vujax.catalog.clock import clock_of
from vujax.catalog.records import RecordReader
from vujax.catalog.words import clock, printable, short_clock
from vujax.report_page.markup import Markup, tag
from vujax.video.clock import Clock

THUMB = (128, 128)
QUALITY = 55
SCALE = 1000  # units of the timeline's width
SHOWN_FACTS = ("film", "path", "folder", "detector")
MOST_TEXT = 2000  # characters of a metadata value


def section(catalog: Catalog, row: dict[str, Any], every: int, *, folded: bool) -> Markup:
    """A film that has shots.

    Args:
      catalog: that it is in.
      row: of the film.
      every: show one shot in so many.
      folded: show no more than its name until it is opened.
    """
    shots = catalog.shots(row["film"]).to_pylist()
    name = str(row.get("title") or printable(row["path"]))
    length = f"{clock(row['end_s'] - row['begin_s'])}, {len(shots):,} shot{'s' * (len(shots) != 1)}"
    inside = [
        tag("p", row["reason"], class_="warning", role="status") if row["reason"] else None,
        _facts(row),
        _timeline(shots, row),
        tag("ol", _shots(catalog, row, shots, every), class_="shots"),
    ]
    summary = tag("summary", tag("h2", name), tag("span", length, class_="note"))
    return tag("details", summary, inside, class_="film", open=not folded, id=row["film"])


def _facts(row: dict[str, Any]) -> Markup:
    facts = {name: printable(str(row[name])) for name in SHOWN_FACTS}
    rate = Fraction(row["rate_num"], row["rate_den"])
    special = [name for name in ("variable_rate", "interlaced", "hdr") if row[name]]
    facts["picture"] = ", ".join(
        [f"{row['width']}x{row['height']}", f"{float(rate):.6g} frames/s", row["codec"]]
        + [name.replace("_", " ") for name in special]
    )
    facts["sound"] = "yes" if row["sound"] else "none"
    for name, value in row.items():
        if name not in layout.FILMS.names and value not in (None, "", []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            facts[name] = text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]} ..."
    return tag("dl", [[tag("dt", k), tag("dd", str(v))] for k, v in facts.items()], class_="facts")


def _timeline(shots: list[dict[str, Any]], row: dict[str, Any]) -> Markup:
    """A bar in which each shot is a block, light and dark in turn, and slow transitions a mark."""
    begin, length = row["begin_s"], max(row["end_s"] - row["begin_s"], 1e-9)

    def place(seconds: float) -> str:
        return f"{(seconds - begin) / length * SCALE:.2f}"

    time = clock_of(row)
    dark, slow = [], []
    for shot in shots:
        if shot["shot"] % 2:
            dark.append(f"M{place(shot['begin_s'])} 0V20H{place(shot['end_s'])}V0Z")
        if shot["transition"] not in (None, "cut"):
            span = (shot["transition_begin_pts"], shot["transition_end_pts"])
            first, last = (place(float(time.seconds(pts))) for pts in span)
            slow.append(f"M{first} 20V28H{last}V20Z")
    return tag(
        "svg",
        tag("path", d=f"M0 0V20H{SCALE}V0Z", class_="even"),
        tag("path", d="".join(dark), class_="odd"),
        tag("path", d="".join(slow), class_="slow"),
        class_="timeline",
        viewBox=f"0 0 {SCALE} 28",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{len(shots)} shots along the film",
    )


def _shots(
    catalog: Catalog, row: dict[str, Any], shots: list[dict[str, Any]], every: int
) -> list[Markup]:
    film = row["film"]
    frames = records_of(catalog, film)
    reader = catalog.jpegs(film) if frames else None
    time = clock_of(row)
    return [_shot(shot, frames.get(shot["shot"], []), reader, time) for shot in shots[::every]]


def records_of(catalog: Catalog, film: str) -> dict[int, list[int]]:
    """The records of each shot's keyframes, by its number; a shot without any is left out."""
    records: dict[int, list[int]] = {}
    table = catalog.keyframes(film).select(["shot", "record"]).to_pydict()
    for shot, record in zip(table["shot"], table["record"], strict=True):
        records.setdefault(shot, []).append(record)
    return records


def _shot(
    shot: dict[str, Any], records: list[int], reader: RecordReader | None, time: Clock
) -> Markup:
    begin, end = shot["begin_s"], shot["end_s"]
    tip = (
        f"{shot['id']}\nfrom {time.timecode(shot['begin_pts'])} ({begin:.3f} s) "
        f"to {time.timecode(shot['end_pts'])} ({end:.3f} s)\n"
        f"frames {shot['first_frame']} to {shot['last_frame']}"
    )
    kind = shot["transition"]
    if kind:
        tip += f"\nbegins with a {kind}, score {shot['transition_score']:.2f}"
    picture = tag("span", class_="none")
    if records:
        middle = records[len(records) // 2]
        picture = tag(
            "img", src=thumbnail(reader[middle]), alt=f"shot {shot['shot']}", loading="lazy"
        )
    name = str(Id(shot["film"], shot["shot"])).rpartition("/")[2]
    return tag(
        "li",
        picture,
        tag("b", short_clock(begin)),
        tag("span", f"{end - begin:.1f} s", class_="length"),
        tag("span", name, class_="name"),
        tag("i", kind) if kind not in (None, "cut") else None,
        title=tip,
        class_=None if kind in (None, "cut") else "slow",
    )


def thumbnail(data: bytes, size: tuple[int, int] = THUMB) -> str:
    """A keyframe's JPEG, at most of a size, as a data URI."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
        picture.draft("RGB", size)
        small = picture.convert("RGB")
    small.thumbnail(size)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
