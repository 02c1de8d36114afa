"""A desk for a catalogue on disk: its vectors, the texts that go with them, a tagger's file."""

import math
from pathlib import Path

from vujax.catalog import Catalog
from vujax.curate.desk import Desk
from vujax.curate.no_texts import plain
from vujax.data.table_rows import read_rows
from vujax.labels.author import author_of
from vujax.search.index import encoder_of
from vujax.search.space import open_space


def open_desk(
    root: Path,
    encoder: str,
    *,
    space: str | None = None,
    author: str | None = None,
    tags: Path | None = None,
) -> Desk:
    """Opens a catalogue for curation.

    Where no text encoder can be had, all else works: examples, labels, filters.

    Args:
      root: of the catalogue.
      encoder: a name, or a trained model's folder.
      space: that texts are compared in, see `open_space`; None: that of the encoder.
      author: of the labels; None: the user.
      tags: table of `vujax tag apply`, .parquet or .csv.

    Raises:
      FileNotFoundError: there is no catalogue, or no vectors of the encoder.
      ValueError: a file is damaged.
    """
    catalog, name = Catalog(root), encoder_of(encoder)
    found = read_tags(tags) if tags else {}
    try:
        texts, mute = open_space(space or encoder), ""
    except (ValueError, OSError, ImportError) as error:
        if space:
            raise
        texts, mute = plain(catalog, name), f"texts cannot be searched for: {error}"
    return Desk(catalog, name, texts, author=author_of(author), tags=found, mute=mute)


def read_tags(path: Path) -> dict[str, dict[str, float]]:
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
            found.setdefault(row.needed("label"), {})[row.needed("id")] = score
    return found
