"""Recall and latency of an approximate search backend, measured against exact search."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vujax.search.backends.base import NOT_FOUND, Neighbors, SearchBackend

TIE_TOLERANCE = 1e-6
"""Rounding of a float32 product of unit vectors: rows this close to the k-th one count as right."""


class BackendMetrics(NamedTuple):
    """Quality and speed of a search backend.

    Attributes:
      recall: share of the exact `k` neighbors that it found.
      p50_ms: median latency of single queries in milliseconds.
      p99_ms: 99th percentile of the latency.
    """

    recall: float
    p50_ms: float
    p99_ms: float


def compute_recall(
    vectors: np.ndarray, queries: np.ndarray, found: Neighbors, exact: Neighbors
) -> float:
    """Compute the mean share of the nearest `k` rows that were found.

    A row is right if its product with the query, computed again, is at most TIE_TOLERANCE below the
    exact k-th one: the choice among equal rows does not matter. Duplicates count once.

    Args:
      vectors: `[n d]`.
      queries: float32 `[q d]`.
      found: result of the backend, `[q k]`.
      exact: result of exact search, `[q k]`.
    """
    shares = []
    for query, rows, exact_scores in zip(queries, found.rows, exact.scores, strict=True):
        finite = exact_scores[np.isfinite(exact_scores)]
        distinct = np.unique(rows[rows != NOT_FOUND])
        scores = vectors[distinct].astype(np.float32) @ query
        right = (scores >= finite.min() - TIE_TOLERANCE).sum() if len(finite) else 0
        shares.append(right / len(finite) if len(finite) else 1.0)
    return float(np.mean(shares))


def measure_backend(
    backend: SearchBackend,
    vectors: np.ndarray,
    queries: np.ndarray,
    k: int,
    exact: Neighbors,
    mask: np.ndarray | None = None,
) -> BackendMetrics:
    """Measure a backend with one query at a time.

    Args:
      backend: backend to measure.
      vectors: vectors of the backend, `[n d]`.
      queries: float32 `[q d]`.
      k: number of neighbors per query.
      exact: result of exact search.
      mask: rows that may be found, bool `[n]`.
    """
    backend.search(queries[:1], k, mask)  # compile
    results, seconds = [], []
    for i in range(len(queries)):
        start = time.perf_counter()
        results.append(backend.search(queries[i : i + 1], k, mask))
        seconds.append(time.perf_counter() - start)
    p50_ms, p99_ms = compute_percentiles(seconds)
    recall = compute_recall(vectors, queries, concatenate(results), exact)
    return BackendMetrics(recall, p50_ms, p99_ms)


def concatenate(results: Sequence[Neighbors]) -> Neighbors:
    """Concatenate the results of several searches."""
    return Neighbors(
        scores=np.concatenate([result.scores for result in results]),
        rows=np.concatenate([result.rows for result in results]),
    )


def compute_percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """Compute the 50th and 99th percentile in milliseconds."""
    p50, p99 = np.percentile(seconds, (50, 99)) * 1000
    return float(p50), float(p99)
