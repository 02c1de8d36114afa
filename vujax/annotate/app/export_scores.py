"""What was labelled, applied to the whole catalogue: the ranking of the page as a table.

The table has the columns of `vujax tag apply`, so it goes the same ways, back to the page as well.
The score is that of `ranking` by labels, or by words and labels; what reaches the threshold, which
the page's slider shows, is chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from vujax.annotate.app.requests import QueryTerm, SearchRequest
from vujax.annotate.app.session import CurationSession
from vujax.annotate.labels import sets
from vujax.annotate.tagging.tagger import COLUMNS
from vujax.search.query import parse_term
from vujax.utils.io import check_table_suffix, write_table


@dataclass(frozen=True)
class ScoresSummary:
    """What came of it: items, and how many of them were chosen."""

    items: int
    chosen: int


def export_scores(
    session: CurationSession,
    name: str,
    label: str,
    out: Path,
    *,
    level: str = "shot",
    query: Sequence[str] = (),
    against: Sequence[str] = (),
    threshold: float = 0.0,
) -> ScoresSummary:
    """Scores every item of a catalogue.

    Args:
      session: of the catalogue.
      name: of the label set.
      label: that is learned.
      out: .parquet, .csv or .jsonl.
      level: of the items.
      query: texts to look for as well, with weights as in `vujax search`.
      against: texts that are not wanted.
      threshold: score from which an item is chosen; 0 is as likely as not, for labels alone.

    Raises:
      FileNotFoundError: there is no such set.
      ValueError: there is nothing to learn from, or another suffix.
    """
    check_table_suffix(out)
    sets.find_label_set(session.catalog.path, name)
    words = [parse_term(text) for text in query] + [
        parse_term(text, against=True) for text in against
    ]
    terms = tuple(QueryTerm(one.text, one.weight) for one in words)
    ask = SearchRequest(level, name, label=label, terms=terms, learn=True, fold=False)
    table = _table(session, ask, threshold)
    write_table(out, [table], table.schema)
    return ScoresSummary(len(table), int(np.count_nonzero(table["chosen"].to_numpy())))


def _table(session: CurationSession, ask: SearchRequest, threshold: float) -> pa.Table:
    found = session.rank(ask)
    rows = session.item_set(ask.level).index.rows.take(found.rows)
    frames = ask.level == "frame"
    count = len(rows)
    columns = [
        rows["film"],
        rows["id"],
        pa.array([ask.level] * count, pa.string()),
        pa.array([ask.label] * count, pa.string()),
        pa.array(found.scores, pa.float64()),
        pa.array(found.scores >= threshold, pa.bool_()),
        rows["seconds"] if frames else rows["begin_s"],
        rows["seconds"] if frames else rows["end_s"],
    ]
    return pa.table(columns, names=COLUMNS.names).cast(COLUMNS)
