"""What an approximate searcher misses, and what it saves: recall against exact search, and time."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vujax.search.backends.base import NOT_FOUND, Neighbors, SearchBackend

TIE = 1e-6
"""Rounding of a float32 product of unit vectors: rows as near as the last exact one are right."""


class Measured(NamedTuple):
    """How a searcher did.

    Attributes:
      recall: share of the exact `k` that it found.
      p50_ms: median time of one query, given alone.
      p99_ms: 99 of 100 queries took no longer.
    """

    recall: float
    p50_ms: float
    p99_ms: float


def recall(vectors: np.ndarray, queries: np.ndarray, found: Neighbors, exact: Neighbors) -> float:
    """The mean share of found rows that belong to the nearest `k`.

    A row belongs when its product with the query, computed anew, is not below the exact k-th one
    by more than TIE: which of several equal rows is found does not matter. Rows found twice count
    once.

    Args:
      vectors: `[n d]`.
      queries: float32 `[q d]`.
      found: of the searcher, `[q k]`.
      exact: of exact search, `[q k]`.
    """
    shares = []
    for query, rows, right in zip(queries, found.rows, exact.scores, strict=True):
        wanted = right[np.isfinite(right)]
        mine = np.unique(rows[rows != NOT_FOUND])
        scores = vectors[mine].astype(np.float32) @ query
        shares.append((scores >= wanted.min() - TIE).sum() / len(wanted) if len(wanted) else 1.0)
    return float(np.mean(shares))


def measure(
    searcher: SearchBackend,
    vectors: np.ndarray,
    queries: np.ndarray,
    k: int,
    exact: Neighbors,
    mask: np.ndarray | None = None,
) -> Measured:
    """Gives a searcher one query after the other.

    Args:
      searcher: to measure.
      vectors: that it searches, `[n d]`.
      queries: float32 `[q d]`.
      k: how many to find.
      exact: what there is to find.
      mask: bool `[n]`, which rows may be found.
    """
    searcher.search(queries[:1], k, mask)  # compiles
    found, seconds = [], []
    for i in range(len(queries)):
        begin = time.perf_counter()
        found.append(searcher.search(queries[i : i + 1], k, mask))
        seconds.append(time.perf_counter() - begin)
    return Measured(recall(vectors, queries, together(found), exact), *percentiles(seconds))


def together(found: Sequence[Neighbors]) -> Neighbors:
    """Several answers as one."""
    return Neighbors(*(np.concatenate(part) for part in zip(*found, strict=True)))


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    p50, p99 = np.percentile(seconds, (50, 99)) * 1000
    return float(p50), float(p99)
