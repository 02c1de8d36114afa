"""Scores of a learned label for all items of a catalog, as a table.

The table has the columns of `vujax tag apply`, so the page can read it back. Scores are those of
`ranking` by labels, or by text and labels; items that reach the threshold are chosen.
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
    """Result of an export.

    Attributes:
      items: number of items.
      chosen: number of chosen items.
    """

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
    """Write the scores of every item of a catalog.

    Args:
      session: session of the catalog.
      name: name of the label set.
      label: label to learn.
      out: output file, .parquet, .csv or .jsonl.
      level: level of the items.
      query: texts to search for too, with weights as in `vujax search`.
      against: texts that are not wanted.
      threshold: minimum score of chosen items; with labels alone, 0 is a probability of one half.

    Raises:
      FileNotFoundError: there is no such label set.
      ValueError: there are no labels to learn from, or the suffix is unknown.
    """
    check_table_suffix(out)
    sets.find_label_set(session.catalog.path, name)
    parsed = [parse_term(text) for text in query]
    parsed += [parse_term(text, against=True) for text in against]
    terms = tuple(QueryTerm(term.text, term.weight) for term in parsed)
    request = SearchRequest(level, name, label=label, terms=terms, learn=True, fold=False)
    table = _table(session, request, threshold)
    write_table(out, [table], table.schema)
    return ScoresSummary(len(table), int(np.count_nonzero(table["chosen"].to_numpy())))


def _table(session: CurationSession, request: SearchRequest, threshold: float) -> pa.Table:
    ranking = session.rank(request)
    rows = session.item_set(request.level).index.rows.take(ranking.rows)
    frames = request.level == "frame"
    count = len(rows)
    columns = [
        rows["film"],
        rows["id"],
        pa.array([request.level] * count, pa.string()),
        pa.array([request.label] * count, pa.string()),
        pa.array(ranking.scores, pa.float64()),
        pa.array(ranking.scores >= threshold, pa.bool_()),
        rows["seconds"] if frames else rows["begin_s"],
        rows["seconds"] if frames else rows["end_s"],
    ]
    return pa.table(columns, names=COLUMNS.names).cast(COLUMNS)
