"""The interface of search backends, and the exact search of a few rows that they share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

NOT_FOUND = -1  # row of a missing result

DENSE_ROWS = 20_000
DENSE_SHARE = 0.02
"""Filters that match at most this number or share of rows are searched without a graph: comparing
the few rows is exact, and faster than skipping the others."""


Report = Callable[[int, int], None]


class Neighbors(NamedTuple):
    """Nearest rows of each query, best first, ties in order of rows.

    Attributes:
      scores: dot products of query and vector, float32 `[q k]`; -inf for missing results.
      rows: int64 `[q k]`; NOT_FOUND for missing results.
    """

    scores: np.ndarray
    rows: np.ndarray


class SearchBackend(Protocol):
    """Finder of the embeddings with the largest dot product with a query.

    Attributes:
      name: registered name.
    """

    name: str

    @classmethod
    def open(cls, vectors: np.ndarray, folder: Path | None, report: Report) -> "SearchBackend":
        """Open a backend over embeddings.

        Args:
          vectors: `[n d]`, unit length, of any float type, n at least 1; may be mapped from a file.
          folder: folder for what it builds; None to store nothing.
          report: called with how many embeddings are indexed, and of how many.

        Raises:
          ImportError: its package is missing; names the extra.
          ValueError: it needs a folder, but `folder` is None.
        """

    def search(self, queries: np.ndarray, k: int, mask: np.ndarray | None = None) -> Neighbors:
        """Search.

        Args:
          queries: float32 `[q d]`.
          k: number of neighbors per query; fewer are found when there are fewer rows.
          mask: bool `[n]`, rows that may be found; None: all.

        Returns:
          Neighbors of each query, best first.
        """


def is_narrow(mask: np.ndarray) -> bool:
    """Return whether a filter matches so few rows that `search_rows` should search them."""
    count = np.count_nonzero(mask)
    return count <= max(DENSE_ROWS, DENSE_SHARE * len(mask))


def search_rows(
    vectors: np.ndarray, queries: np.ndarray, k: int, rows: Sequence[int] | np.ndarray
) -> Neighbors:
    """Search a few rows exactly, on the host.

    Args:
      vectors: `[n d]`, of any float type.
      queries: float32 `[q d]`.
      k: number of neighbors per query.
      rows: rows to search, increasing.
    """
    rows = np.asarray(rows, np.int64)
    scores = np.float32(queries) @ vectors[rows].astype(np.float32).T
    return select_best(scores, np.broadcast_to(rows, scores.shape), k)


def select_best(scores: np.ndarray, rows: np.ndarray, k: int) -> Neighbors:
    """Select the best `k` candidates of each query.

    Args:
      scores: `[q c]`.
      rows: `[q c]`; candidates with NOT_FOUND come last.
      k: number of neighbors per query.
    """
    scores = np.where(rows == NOT_FOUND, -np.inf, scores).astype(np.float32)
    order = np.lexsort((rows, -scores))[:, :k]
    scores, rows = (np.take_along_axis(x, order, axis=1) for x in (scores, rows))
    missing = k - scores.shape[1]
    if missing > 0:
        wide = ((0, 0), (0, missing))
        scores = np.pad(scores, wide, constant_values=-np.inf)
        rows = np.pad(rows, wide, constant_values=NOT_FOUND)
    return Neighbors(scores, np.where(np.isneginf(scores), NOT_FOUND, rows).astype(np.int64))
