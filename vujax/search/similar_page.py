"""The page of what is like a shot or scene: filmstrips, the most similar first."""

from pathlib import Path

import numpy as np

from vujax.catalog import Catalog
from vujax.catalog.page import build_thumbnail_uri, group_keyframe_records
from vujax.catalog.records import RecordReader
from vujax.search.similar import Piece, Similar
from vujax.utils.formatting import format_short_clock
from vujax.utils.html.document import Markup, document, tag
from vujax.utils.io import write_text

MOST_PICTURES = 1500  # of 4 KB each
MOST_IN_STRIP = {"shot": 3, "scene": 10}
SIZE = (200, 200)


def write_page(catalog: Catalog, similar: Similar, path: Path) -> Path:
    """Writes the page.

    Args:
      catalog: that was looked in.
      similar: what was found.
      path: of the page; it appears whole or not at all.

    Raises:
      FileNotFoundError, ValueError: a file of the catalogue is missing or damaged.
    """
    query = similar.query
    title = f"{similar.level.capitalize()}s like {query.id.rpartition('/')[2]} of {query.title}"
    strips = _Strips(catalog, similar)
    found = [strips.article(piece, place) for place, piece in enumerate(similar.found, 1)]
    body = [
        tag("header", tag("h1", title), _tiles(similar)),
        tag(
            "main",
            tag("div", strips.article(query, None), class_=f"similar of-{similar.level} query"),
            tag("h2", f"The nearest {similar.level}s"),
            tag("p", _note(similar), class_="note"),
            tag("div", found, class_=f"similar of-{similar.level}"),
        ),
    ]
    page = document(title, body, ["vujax.catalog"])
    return write_text(path, page)


def _tiles(similar: Similar) -> Markup:
    facts = {
        "Compared": f"{similar.compared:,} {similar.level}s",
        "Films": f"{similar.films:,}",
        **({"Films left out": f"{len(similar.left_out):,}"} if similar.left_out else {}),
        "Vectors of": similar.encoder,
    }
    pairs = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    return tag("dl", pairs, class_="tiles")


def _note(similar: Similar) -> str:
    words = "By the cosine of their vectors; 1 is the same direction."
    if similar.left_out:
        film, reason = similar.left_out[0]
        words += f" Films left out have no such vectors now; the first, {film}: {reason}."
    return words if similar.found else f"{words} There is nothing to compare with."


class _Strips:
    """Makes filmstrips; a film's pictures are opened once."""

    def __init__(self, catalog: Catalog, similar: Similar) -> None:
        self._catalog, self._level = catalog, similar.level
        strips = 1 + len(similar.found)
        self._most = max(1, min(MOST_PICTURES // strips, MOST_IN_STRIP[similar.level]))
        self._films: dict[str, tuple[dict[int, list[int]], RecordReader]] = {}

    def article(self, piece: Piece, place: int | None) -> Markup:
        """A shot or scene: its words and pictures; the query has no place."""
        begin, end = piece.timecodes
        name = piece.title if place is None else f"{place}. {piece.title}"
        words = [
            tag("h3", name),
            tag(
                "b",
                f"{format_short_clock(piece.begin_s)} – {format_short_clock(piece.end_s)}",
                class_="num",
            ),
            tag("span", f"{piece.end_s - piece.begin_s:.1f} s", class_="note num"),
            None if place is None else _cosine(piece.cosine),
            tag("code", f"{piece.id}  {begin} – {end}"),
        ]
        return tag("article", tag("header", words), tag("ol", self._pictures(piece)))

    def _pictures(self, piece: Piece) -> list[Markup]:
        """Keyframes of a shot, or of a scene those in the middle of its shots."""
        if piece.film not in self._films:
            opened = (
                group_keyframe_records(self._catalog, piece.film),
                self._catalog.jpegs(piece.film),
            )
            self._films[piece.film] = opened
        records, reader = self._films[piece.film]
        first, last = piece.shots
        there = [records[shot] for shot in range(first, last + 1) if shot in records]
        if self._level == "shot":
            pictures = there[0]
        else:
            pictures = [keyframes[len(keyframes) // 2] for keyframes in there]
        count = min(self._most, len(pictures))
        chosen = ((np.arange(count) + 0.5) * len(pictures) / count).astype(int)
        return [
            tag(
                "li",
                tag(
                    "img",
                    src=build_thumbnail_uri(reader[pictures[i]], SIZE),
                    alt="",
                    loading="lazy",
                ),
            )
            for i in chosen.tolist()
        ]


def _cosine(value: float) -> Markup:
    """A number and a bar."""
    width = 100 * min(max(value, 0.0), 1.0)
    bar = tag("span", tag("i", style=f"width:{width:.1f}%"), class_="bar", aria_hidden="true")
    return tag("span", bar, f"{value:.3f}", class_="cosine num", title="cosine")
