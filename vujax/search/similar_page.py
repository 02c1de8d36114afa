"""Page of the items that are similar to a shot or scene, as filmstrips, best first."""

from pathlib import Path

from vujax.catalog import Catalog
from vujax.search.filmstrips import Filmstrips
from vujax.search.similar import SimilarItem, SimilarResult
from vujax.utils.formatting import format_short_clock
from vujax.utils.html.document import Markup, document, tag
from vujax.utils.io import write_text


def write_page(catalog: Catalog, similar: SimilarResult, path: Path) -> Path:
    """Write the page atomically.

    Items of a film whose keyframes are missing have no images, and a warning names the film.

    Args:
      catalog: catalog that was searched.
      similar: result of the search.
      path: path of the page.
    """
    query = similar.query
    name = query.id.rpartition("/")[2]
    title = f"{similar.level.capitalize()}s similar to {name} of {query.title}"
    strips = Filmstrips(catalog, similar.level, 1 + len(similar.items))
    first, *others = [_article(item, strips) for item in (query, *similar.items)]
    body = [
        tag("header", tag("h1", title), _tiles(similar)),
        tag(
            "main",
            [tag("p", line, class_="warning", role="status") for line in strips.problems],
            tag("div", first, class_=f"similar of-{similar.level} query"),
            tag("h2", f"Most similar {similar.level}s"),
            tag("p", _note(similar), class_="note"),
            tag("div", others, class_=f"similar of-{similar.level}"),
        ),
    ]
    return write_text(path, document(title, body, ["vujax.catalog"]))


def _tiles(similar: SimilarResult) -> Markup:
    facts = {
        "Compared": f"{similar.compared:,} {similar.level}s",
        "Films": f"{similar.films:,}",
        **({"Films left out": f"{len(similar.left_out):,}"} if similar.left_out else {}),
        "Embeddings": similar.encoder,
    }
    pairs = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    return tag("dl", pairs, class_="tiles")


def _note(similar: SimilarResult) -> str:
    words = "Ranked by the cosine similarity of their embeddings; 1 means identical direction."
    if similar.left_out:
        film, reason = similar.left_out[0]
        words += (
            f" Films that were left out have no current embeddings; the first, {film}: {reason}."
        )
    return words if similar.items else f"{words} There is nothing to compare with."


def _article(item: SimilarItem, strips: Filmstrips) -> Markup:
    """Return the words and images of an item; the query, of rank 0, has no rank and score."""
    words = [
        tag("h3", f"{item.rank}. {item.title}" if item.rank else item.title),
        tag(
            "b",
            f"{format_short_clock(item.start_s)} – {format_short_clock(item.end_s)}",
            class_="num",
        ),
        tag("span", f"{item.end_s - item.start_s:.1f} s", class_="note num"),
        _score(item.score) if item.rank else None,
        tag("code", f"{item.id}  {item.timecode} – {item.end_timecode}"),
    ]
    images = strips.build(item.film, item.id, item.first_shot, item.last_shot)
    return tag("article", tag("header", words), tag("ol", images))


def _score(value: float) -> Markup:
    """Return a score as a number and a bar."""
    width = 100 * min(max(value, 0.0), 1.0)
    bar = tag("span", tag("i", style=f"width:{width:.1f}%"), class_="bar", aria_hidden="true")
    return tag("span", bar, f"{value:.3f}", class_="cosine num", title="cosine similarity")
