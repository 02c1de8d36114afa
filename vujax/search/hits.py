"""Search: text and pictures to frames, shots and scenes of a catalogue.

From a vector to what a person sees: the best frames, shots or scenes, with films and times.

vector = combine([term("a boat"), term("night", against=True)], index)
hits = find(index, open_backend("exact", index), vector, top=20)
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vujax.catalog.schema import build_clock
from vujax.search import filters
from vujax.search.backends.base import NOT_FOUND, SearchBackend
from vujax.search.index import Index
from vujax.utils.formatting import quote_unprintable

MORE = 4  # times as many rows are asked for when some will be left out


@dataclass(frozen=True)
class Hit:
    """One result.

    Attributes:
      rank: from 1.
      score: see `vujax.search.query`.
      id: of the frame, shot or scene.
      film: id of its film.
      title: of the film; its path where there is none.
      timecode: SMPTE, of the frame, or of the begin of the shot or scene.
      seconds: the same, since the film's start.
      pts: the same, in ticks of the film's time base.
      begin_s: of the shot or scene, of a frame's shot.
      end_s: of it.
      first_shot: of a scene; otherwise the shot itself.
      last_shot: likewise.
      folded: other frames of this shot that pass the filter and are not shown.
    """

    rank: int
    score: float
    id: str
    film: str
    title: str
    timecode: str
    seconds: float
    pts: int
    begin_s: float
    end_s: float
    first_shot: int
    last_shot: int
    folded: int


def kept_rows(index: Index, filter: str | None, without: np.ndarray | None = None) -> np.ndarray:
    """Which rows may be found, bool `[n]`.

    Args:
      index: to search.
      filter: see `vujax.search.filters`; None keeps all.
      without: numbers of rows that may not be, such as those of the query itself.

    Raises:
      ValueError, KeyError: the filter is wrong.
    """
    kept = np.ones(len(index), bool) if filter is None else filters.mask(filter, index.column)
    if without is not None:
        kept[without] = False
    return kept


def find(
    index: Index,
    searcher: SearchBackend,
    vector: np.ndarray,
    *,
    top: int = 20,
    kept: np.ndarray | None = None,
    per_film: int | None = None,
    fold: bool = False,
) -> list[Hit]:
    """Searches.

    Args:
      index: in which to search.
      searcher: over it.
      vector: of the query, float32 `[d]`.
      top: most results.
      kept: which rows may be found, bool `[n]`; None: all.
      per_film: most results of one film.
      fold: of the frames of a shot only the best is a result.

    Raises:
      ValueError: `top` or `per_film` is below 1.
    """
    if top < 1 or (per_film is not None and per_film < 1):
        raise ValueError(f"top and per-film must be 1 or more, not {top} and {per_film}")
    most = len(index) if kept is None else int(np.count_nonzero(kept))
    if not most:
        return []
    asked = min(most, MORE * top if per_film or fold else top)
    while True:
        found = searcher.search(vector[None], asked, kept)
        chosen = _choose(index, found.rows[0], top, per_film, fold)
        if len(chosen) >= top or asked >= most:
            break
        asked = min(most, MORE * asked)
    scores = dict(zip(found.rows[0].tolist(), found.scores[0].tolist(), strict=True))
    folded = {row: _others(index, row, kept) if fold else 0 for row in chosen}
    return _hits(index, {row: scores[row] for row in chosen}, folded)


def _choose(
    index: Index, rows: np.ndarray, top: int, per_film: int | None, fold: bool
) -> list[int]:
    """The rows to show, best first."""
    rows = rows[rows != NOT_FOUND]
    films, shots = (index.rows[name].take(rows).to_pylist() for name in ("film", "shot"))
    chosen: list[int] = []
    seen: set[tuple[str, int]] = set()
    of_film: Counter[str] = Counter()
    for row, film, shot in zip(rows.tolist(), films, shots, strict=True):
        is_new = not fold or (film, shot) not in seen
        if is_new and len(chosen) < top and (per_film is None or of_film[film] < per_film):
            chosen.append(row)
            of_film[film] += 1
        seen.add((film, shot))
    return chosen


def _others(index: Index, row: int, kept: np.ndarray | None) -> int:
    """Rows of the same shot that may be found; they stand beside each other."""
    film, shot = (index.rows[name] for name in ("film", "shot"))
    mine = film[row], shot[row]
    first = last = row
    while first > 0 and (film[first - 1], shot[first - 1]) == mine:
        first -= 1
    while last + 1 < len(index) and (film[last + 1], shot[last + 1]) == mine:
        last += 1
    rows = slice(first, last + 1)
    return last - first if kept is None else int(np.count_nonzero(kept[rows])) - 1


def _hits(index: Index, scores: Mapping[int, float], folded: Mapping[int, int]) -> list[Hit]:
    rows = index.rows.take(list(scores)).to_pylist()
    numbers = index.film_numbers.take(list(scores)).to_pylist()
    films = {n: index.films.slice(n, 1).to_pylist()[0] for n in set(numbers)}
    pairs = zip(scores, rows, numbers, strict=True)
    return [
        _hit(rank, scores[number], row, films[film], folded[number])
        for rank, (number, row, film) in enumerate(pairs, 1)
    ]


def _hit(rank: int, score: float, row: dict[str, Any], film: dict[str, Any], folded: int) -> Hit:
    same = {name: row[name] for name in ("id", "film", "seconds", "pts", "begin_s", "end_s")}
    return Hit(
        rank=rank,
        score=score,
        title=quote_unprintable(str(film.get("title") or film["path"])),
        timecode=build_clock(film).timecode(row["pts"]),
        first_shot=row["shot"],
        last_shot=row["last_shot"],
        folded=folded,
        **same,
    )
