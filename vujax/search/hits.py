"""Search results: from a query vector to the best frames, shots or scenes.

vector = combine_terms([parse_term("a boat"), parse_term("night", against=True)], index)
hits = search_index(index, open_backend("exact", index), vector, top=20)
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
from vujax.utils.deprecation import deprecated_alias
from vujax.utils.formatting import quote_unprintable

OVERSAMPLING = 4  # rows requested per result where some results are left out


@dataclass(frozen=True)
class Hit:
    """One search result.

    Attributes:
      rank: counted from 1.
      score: see `vujax.search.query`.
      id: catalog id of the frame, shot or scene.
      film: catalog id of its film.
      title: title of the film, or its path.
      timecode: SMPTE timecode of the frame, or of the start of the shot or scene.
      seconds: the same, since the start of the film.
      pts: the same, in ticks of the film's time base.
      start_s: start of the shot or scene, or of a frame's shot, in seconds.
      end_s: end of it.
      first_shot: first shot of a scene; otherwise the shot itself.
      last_shot: last shot of a scene; otherwise the shot itself.
      folded: number of other frames of this shot that pass the filter and are not shown.
    """

    rank: int
    score: float
    id: str
    film: str
    title: str
    timecode: str
    seconds: float
    pts: int
    start_s: float
    end_s: float
    first_shot: int
    last_shot: int
    folded: int

    begin_s = deprecated_alias("begin_s", "start_s")


def select_rows(index: Index, filter: str | None, exclude: np.ndarray | None = None) -> np.ndarray:
    """Return a mask of the rows that may be found, bool `[n]`.

    Args:
      index: index to search.
      filter: see `vujax.search.filters`; None to keep all rows.
      exclude: rows to leave out, such as those of the query itself.

    Raises:
      ValueError, KeyError: the filter is invalid.
    """
    mask = np.ones(len(index), bool)
    if filter is not None:
        mask = filters.compute_mask(filter, index.column)
    if exclude is not None:
        mask[exclude] = False
    return mask


def search_index(
    index: Index,
    backend: SearchBackend,
    vector: np.ndarray,
    *,
    top: int = 20,
    mask: np.ndarray | None = None,
    per_film: int | None = None,
    fold: bool = False,
) -> list[Hit]:
    """Return the best hits for a query vector.

    Args:
      index: index to search.
      backend: search backend over the index.
      vector: query, float32 `[d]`.
      top: maximum number of hits.
      mask: rows that may be found, bool `[n]`; None for all.
      per_film: maximum number of hits per film.
      fold: whether to return only the best frame of each shot.

    Raises:
      ValueError: `top` or `per_film` is below 1.
    """
    if top < 1 or (per_film is not None and per_film < 1):
        raise ValueError(f"top and per-film must be 1 or more, got {top} and {per_film}")
    available = len(index) if mask is None else int(np.count_nonzero(mask))
    if not available:
        return []
    k = min(available, OVERSAMPLING * top if per_film or fold else top)
    while True:
        neighbors = backend.search(vector[None], k, mask)
        chosen = _choose(index, neighbors.rows[0], top, per_film, fold)
        if len(chosen) >= top or k >= available:
            break
        k = min(available, OVERSAMPLING * k)
    scores = dict(zip(neighbors.rows[0].tolist(), neighbors.scores[0].tolist(), strict=True))
    folded = {row: _count_others(index, row, mask) if fold else 0 for row in chosen}
    return _build_hits(index, {row: scores[row] for row in chosen}, folded)


def _choose(
    index: Index, rows: np.ndarray, top: int, per_film: int | None, fold: bool
) -> list[int]:
    """Return the rows to show, best first."""
    rows = rows[rows != NOT_FOUND]
    films, shots = (index.rows[name].take(rows).to_pylist() for name in ("film", "shot"))
    chosen: list[int] = []
    seen: set[tuple[str, int]] = set()
    counts: Counter[str] = Counter()
    for row, film, shot in zip(rows.tolist(), films, shots, strict=True):
        is_new = not fold or (film, shot) not in seen
        if is_new and len(chosen) < top and (per_film is None or counts[film] < per_film):
            chosen.append(row)
            counts[film] += 1
        seen.add((film, shot))
    return chosen


def _count_others(index: Index, row: int, mask: np.ndarray | None) -> int:
    """Count the other selected rows of the same shot, which are adjacent."""
    film, shot = (index.rows[name] for name in ("film", "shot"))
    own = film[row], shot[row]
    first = last = row
    while first > 0 and (film[first - 1], shot[first - 1]) == own:
        first -= 1
    while last + 1 < len(index) and (film[last + 1], shot[last + 1]) == own:
        last += 1
    rows = slice(first, last + 1)
    return last - first if mask is None else int(np.count_nonzero(mask[rows])) - 1


def _build_hits(index: Index, scores: Mapping[int, float], folded: Mapping[int, int]) -> list[Hit]:
    rows = index.rows.take(list(scores)).to_pylist()
    numbers = index.film_numbers.take(list(scores)).to_pylist()
    films = {n: index.films.slice(n, 1).to_pylist()[0] for n in set(numbers)}
    pairs = zip(scores, rows, numbers, strict=True)
    return [
        _build_hit(rank, scores[number], row, films[film], folded[number])
        for rank, (number, row, film) in enumerate(pairs, 1)
    ]


def _build_hit(
    rank: int, score: float, row: dict[str, Any], film: dict[str, Any], folded: int
) -> Hit:
    return Hit(
        rank=rank,
        score=score,
        id=row["id"],
        film=row["film"],
        title=quote_unprintable(str(film.get("title") or film["path"])),
        timecode=build_clock(film).timecode(row["pts"]),
        seconds=row["seconds"],
        pts=row["pts"],
        start_s=row["begin_s"],
        end_s=row["end_s"],
        first_shot=row["shot"],
        last_shot=row["last_shot"],
        folded=folded,
    )
