"""The page of results: a picture or a filmstrip for each, the best first.

Like all pages here it runs no script, loads nothing and shows whatever a title holds as text.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vujax.catalog import Catalog
from vujax.catalog.page import build_thumbnail_uri
from vujax.catalog.records import RecordReader
from vujax.search.hits import Hit
from vujax.search.index import Index
from vujax.utils.formatting import format_short_clock
from vujax.utils.html.document import Markup, document, tag
from vujax.utils.io import write_text

MOST_PICTURES = 1500  # of 4 KB each
MOST_IN_STRIP = {"frame": 1, "shot": 3, "scene": 10}
SIZE = {"frame": (320, 320), "shot": (200, 200), "scene": (200, 200)}


def write_page(path: Path, index: Index, hits: Sequence[Hit], query: str) -> Path:
    """Writes the page; it appears whole or not at all.

    A film whose pictures are gone has empty places, and a line says so.

    Args:
      path: of the page.
      index: that was searched.
      hits: what was found.
      query: in words.
    """
    strips = _Strips(index, len(hits))
    found = [_article(hit, strips(hit)) for hit in hits]
    facts = {
        "Searched": f"{len(index):,} {index.level}s",
        "Films": f"{index.films.num_rows:,}",
        "Vectors of": index.model.folder,
        "Found": f"{len(hits):,}",
    }
    tiles = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    note = "The score is the sum of the terms' weighted cosines, divided by the sum of weights."
    body = [
        tag("header", tag("h1", query), tag("dl", tiles, class_="tiles")),
        tag(
            "main",
            [tag("p", line, class_="warning", role="status") for line in strips.problems],
            tag("p", note if hits else "Nothing was found.", class_="note"),
            tag("div", found, class_=f"similar of-{index.level}"),
        ),
    ]
    page = document(f"{query}: vujax search", body, ["vujax.catalog", "vujax.search"])
    return write_text(path, page)


def _article(hit: Hit, pictures: list[Markup]) -> Markup:
    span = f"{format_short_clock(hit.begin_s)} – {format_short_clock(hit.end_s)}"
    folded = f"{hit.folded} more of this shot" if hit.folded else None
    words = [
        tag("h3", f"{hit.rank}. {hit.title}"),
        tag("b", span, class_="num"),
        tag("span", f"{hit.end_s - hit.begin_s:.1f} s", class_="note num"),
        tag("span", f"{hit.score:.3f}", class_="cosine num", title="score"),
        tag("code", f"{hit.id}  {hit.timecode}"),
        tag("span", folded, class_="note") if folded else None,
    ]
    return tag("article", tag("header", words), tag("ol", pictures), id=hit.id)


class _Strips:
    """Makes filmstrips; a film's pictures are opened once.

    Attributes:
      problems: sentences about films whose pictures cannot be shown.
    """

    def __init__(self, index: Index, hits: int) -> None:
        self._catalog, self._level = index.catalog, index.level
        self._most = max(1, min(MOST_PICTURES // max(hits, 1), MOST_IN_STRIP[index.level]))
        self._size = SIZE[index.level]
        self._films: dict[str, _Pictures | None] = {}
        self.problems: list[str] = []

    def __call__(self, hit: Hit) -> list[Markup]:
        """List items."""
        film = self._open(hit.film)
        records = film.records(hit, self._level) if film else []
        count = min(self._most, len(records))
        places = ((np.arange(count) + 0.5) * len(records) / max(count, 1)).astype(int).tolist()
        try:
            shown = [build_thumbnail_uri(film.reader[records[i]], self._size) for i in places]
        except (OSError, ValueError, IndexError) as error:  # a damaged picture
            self._gone(hit.film, str(error))
            shown = []
        return [tag("li", tag("img", src=src, alt=hit.id, loading="lazy")) for src in shown]

    def _open(self, film: str) -> "_Pictures | None":
        if film not in self._films:
            try:
                self._films[film] = _Pictures(self._catalog, film)
            except (KeyError, OSError, ValueError) as error:
                self._gone(film, str(error.args[0] if isinstance(error, KeyError) else error))
        return self._films[film]

    def _gone(self, film: str, reason: str) -> None:
        self._films[film] = None
        self.problems.append(f"Pictures of {film} cannot be shown: {reason}.")


class _Pictures:
    """The keyframes of a film."""

    def __init__(self, catalog: Catalog, film: str) -> None:
        table = catalog.keyframes(film).select(["id", "shot", "record"]).to_pydict()
        self._ids = dict(zip(table["id"], table["record"], strict=True))
        self._shots: dict[int, list[int]] = {}
        for shot, record in zip(table["shot"], table["record"], strict=True):
            self._shots.setdefault(shot, []).append(record)
        self.reader: RecordReader = catalog.jpegs(film)

    def records(self, hit: Hit, level: str) -> list[int]:
        """Of a frame, of a shot's keyframes, or of the middle ones of a scene's shots."""
        if level == "frame":
            return [self._ids[hit.id]] if hit.id in self._ids else []
        if level == "shot":
            return self._shots.get(hit.first_shot, [])
        numbers = range(hit.first_shot, hit.last_shot + 1)
        there = [self._shots[shot] for shot in numbers if shot in self._shots]
        return [keyframes[len(keyframes) // 2] for keyframes in there]
