"""The curation page: from a query to reviewed labels, in a browser, over one catalogue.

guard      who may ask: Host, Origin, token, sizes
asks       what a request may say
pictures   keyframes by their ids, quickly
level      the frames, shots or scenes of the catalogue, in memory
probe      what is like the examples: logistic regression on frozen vectors
ranking    scores of a request: zero-shot, learned, or both
precision  how many of those above a threshold are right
session       everything that the page can ask for, without HTTP
app        the same with HTTP
serve      the server
static/    the page: HTML, CSS and JavaScript as they are, nothing is built

A session for a catalogue on disk: its vectors, the texts that go with them, a tagger's file.

A space for vectors that no encoder of texts goes with: all but words can be searched for.
"""

import math
from pathlib import Path

from vujax.annotate.app.session import CurationSession, list_levels
from vujax.annotate.labels.sets import resolve_author
from vujax.catalog import Catalog, embeddings
from vujax.data.tables import read_rows
from vujax.search.index import resolve_encoder
from vujax.search.text_space import EncoderSpace, TextSpace, open_text_space


def open_session(
    root: Path,
    encoder: str,
    *,
    space: str | None = None,
    author: str | None = None,
    tags: Path | None = None,
) -> CurationSession:
    """Opens a catalogue for curation.

    Where no text encoder can be had, all else works: examples, labels, filters.

    Args:
      root: of the catalogue.
      encoder: a name, or a trained model's folder.
      space: that texts are compared in, see `open_text_space`; None: that of the encoder.
      author: of the labels; None: the user.
      tags: table of `vujax tag apply`, .parquet or .csv.

    Raises:
      FileNotFoundError: there is no catalogue, or no vectors of the encoder.
      ValueError: a file is damaged.
    """
    catalog, name = Catalog(root), resolve_encoder(encoder)
    found = read_tag_scores(tags) if tags else {}
    try:
        texts, mute = open_text_space(space or encoder), ""
    except (ValueError, OSError, ImportError) as error:
        if space:
            raise
        texts, mute = open_embedding_space(catalog, name), f"texts cannot be searched for: {error}"
    return CurationSession(
        catalog, name, texts, author=resolve_author(author), tags=found, text_search_error=mute
    )


def read_tag_scores(path: Path) -> dict[str, dict[str, float]]:
    """Scores of a tagger by label and id.

    Args:
      path: of a table with the columns id, label and score.

    Raises:
      FileNotFoundError, ValueError: it cannot be read; names the row.
    """
    found: dict[str, dict[str, float]] = {}
    for row in read_rows(path, ["id", "label", "score"]):
        score = row.number("score", -math.inf, math.inf)
        if score is not None:
            found.setdefault(row.require("label"), {})[row.require("id")] = score
    return found


def open_embedding_space(catalog: Catalog, encoder: str) -> TextSpace:
    """The space of an encoder's vectors as they are, made unit."""
    first = list_levels(catalog, encoder)[0]
    return EncoderSpace(embeddings.open_store(catalog.path, first, encoder).model.dim)
