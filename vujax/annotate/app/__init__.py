"""The labeling page: from a query to reviewed labels in a browser, over one catalog.

- `session`: requests of the page without HTTP; `server`: the same with HTTP.
- `security`: checks of host, origin, token and sizes; `requests`: parsing of request bodies.
- `items`: frames, shots or scenes in memory; `thumbnails`: keyframes by id.
- `ranking`: zero-shot and learned scores; `precision`: estimates above a threshold.
- `export_scores`: the ranking of a whole catalog as a table.
- `static/`: HTML, CSS and JavaScript, served as they are.
"""

import math
from pathlib import Path

from vujax.annotate.app.session import CurationSession, list_levels
from vujax.annotate.labels.sets import resolve_author
from vujax.catalog import Catalog, embeddings
from vujax.data.tables import read_rows
from vujax.encoders import resolve_name
from vujax.search.text_space import EncoderSpace, TextSpace, open_text_space


def open_session(
    root: Path,
    encoder: str,
    *,
    space: str | None = None,
    author: str | None = None,
    tags: Path | None = None,
) -> CurationSession:
    """Open a catalog for labeling.

    Without a text encoder, examples, labels and filters still work.

    Args:
      root: path of the catalog.
      encoder: name of an encoder, or directory of a trained model.
      space: text space, see `open_text_space`; None: that of the encoder.
      author: author of the labels; None: the user.
      tags: table of `vujax tag apply`, .parquet or .csv.

    Raises:
      FileNotFoundError: the catalog or the embeddings of the encoder are missing.
      ValueError: a file is damaged.
    """
    catalog, missing = Catalog(root), ""
    scores = read_tag_scores(tags) if tags else {}
    try:
        texts = open_text_space(space or encoder)
        name = resolve_name(root, encoder, None if space else texts.digest)
    except (ValueError, OSError, ImportError) as error:
        if space:
            raise
        name = resolve_name(root, encoder)
        texts = open_embedding_space(catalog, name)
        missing = f"text search is not available: {error}"
    return CurationSession(
        catalog, name, texts, author=resolve_author(author), tags=scores, text_search_error=missing
    )


def read_tag_scores(path: Path) -> dict[str, dict[str, float]]:
    """Read the scores of a tagger, by label and id.

    Args:
      path: path of a table with the columns id, label and score.

    Raises:
      FileNotFoundError, ValueError: the table is missing or malformed; names the row.
    """
    scores: dict[str, dict[str, float]] = {}
    for row in read_rows(path, ["id", "label", "score"]):
        score = row.number("score", -math.inf, math.inf)
        if score is not None:
            scores.setdefault(row.require("label"), {})[row.require("id")] = score
    return scores


def open_embedding_space(catalog: Catalog, encoder: str) -> TextSpace:
    """Return a space without texts, in which embeddings are only normalized."""
    first = list_levels(catalog, encoder)[0]
    return EncoderSpace(embeddings.open_store(catalog.path, first, encoder).model.dim)
