"""Search results as files: Parquet, CSV, JSON lines, or a page with images.

The page has an image or a filmstrip per result, best first. It runs no script, loads nothing, and
shows any title as text.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from vujax.search.filmstrips import Filmstrips
from vujax.search.hits import Hit
from vujax.search.index import Index
from vujax.utils.formatting import format_short_clock
from vujax.utils.html.document import Markup, document, tag
from vujax.utils.io import TABLE_SUFFIXES, write_table, write_text

COLUMNS = pa.schema(
    {
        "rank": pa.int32(),
        "score": pa.float32(),
        "id": pa.string(),
        "film": pa.string(),
        "title": pa.string(),
        "timecode": pa.string(),
        "seconds": pa.float64(),
        "pts": pa.int64(),
        "begin_s": pa.float64(),
        "end_s": pa.float64(),
        "first_shot": pa.int32(),
        "last_shot": pa.int32(),
        "folded": pa.int32(),
        "level": pa.string(),
        "encoder": pa.string(),  # its name and hash
        "query": pa.string(),
    }
)
SUFFIXES = (*TABLE_SUFFIXES, ".html")


def check_suffix(path: Path) -> None:
    """Check that the suffix of a file is one of a known format.

    Raises:
      ValueError: it is not.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: results are written as {', '.join(SUFFIXES)}")


def write_results(path: Path, index: Index, hits: Sequence[Hit], query: str) -> Path:
    """Write results atomically.

    Args:
      path: output file; its suffix selects the format.
      index: index that was searched.
      hits: results.
      query: the query in words.

    Raises:
      ValueError: the suffix is unknown.
    """
    check_suffix(path)
    if path.suffix.lower() == ".html":
        return write_page(path, index, hits, query)
    about = dict(level=index.level, encoder=index.model.folder, query=query)
    rows = [dataclasses.asdict(hit) | {"begin_s": hit.start_s} | about for hit in hits]
    return write_table(path, [pa.Table.from_pylist(rows, schema=COLUMNS)], COLUMNS)


def write_page(path: Path, index: Index, hits: Sequence[Hit], query: str) -> Path:
    """Write the page atomically.

    Results of a film whose keyframes are missing have no images, and a warning names the film.

    Args:
      path: path of the page.
      index: index that was searched.
      hits: results.
      query: the query in words.
    """
    strips = Filmstrips(index.catalog, index.level, len(hits))
    articles = [
        _article(hit, strips.build(hit.film, hit.id, hit.first_shot, hit.last_shot)) for hit in hits
    ]
    facts = {
        "Searched": f"{len(index):,} {index.level}s",
        "Films": f"{index.films.num_rows:,}",
        "Embeddings": index.model.folder,
        "Results": f"{len(hits):,}",
    }
    tiles = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    note = "Scores are weighted means of the cosine similarities of the query's terms."
    body = [
        tag("header", tag("h1", query), tag("dl", tiles, class_="tiles")),
        tag(
            "main",
            [tag("p", line, class_="warning", role="status") for line in strips.problems],
            tag("p", note if hits else "No results.", class_="note"),
            tag("div", articles, class_=f"similar of-{index.level}"),
        ),
    ]
    page = document(f"{query}: vujax search", body, ["vujax.catalog", "vujax.search"])
    return write_text(path, page)


def _article(hit: Hit, images: list[Markup]) -> Markup:
    span = f"{format_short_clock(hit.start_s)} – {format_short_clock(hit.end_s)}"
    folded = f"{hit.folded} more of this shot" if hit.folded else None
    words = [
        tag("h3", f"{hit.rank}. {hit.title}"),
        tag("b", span, class_="num"),
        tag("span", f"{hit.end_s - hit.start_s:.1f} s", class_="note num"),
        tag("span", f"{hit.score:.3f}", class_="cosine num", title="score"),
        tag("code", f"{hit.id}  {hit.timecode}"),
        tag("span", folded, class_="note") if folded else None,
    ]
    return tag("article", tag("header", words), tag("ol", images), id=hit.id)
