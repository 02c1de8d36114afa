"""Page of search results: an image or a filmstrip per result, best first.

It runs no script, loads nothing, and shows any title as text.
"""

from collections.abc import Sequence
from pathlib import Path

from vujax.search.filmstrips import Filmstrips
from vujax.search.hits import Hit
from vujax.search.index import Index
from vujax.utils.formatting import format_short_clock
from vujax.utils.html.document import Markup, document, tag
from vujax.utils.io import write_text


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
