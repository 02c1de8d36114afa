"""The interface of search backends, and the exact search of a few rows that they share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

NOT_FOUND = -1  # the row where a search found fewer than it was asked for

DENSE_ROWS = 20_000
DENSE_SHARE = 0.02
"""A filter that keeps fewer rows than this many, or this share, is searched without a graph:
its few rows are compared one by one, which is exact and quicker than to walk past the others."""


Report = Callable[[int, int], None]


class Neighbors(NamedTuple):
    """The nearest rows of each query, best first; equal scores in order of rows.

    Attributes:
      scores: float32 `[q k]`, products of query and vector; -inf where there is none.
      rows: int64 `[q k]`, NOT_FOUND where there is none.
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
          folder: where what it builds is kept; None: nowhere.
          report: called with how many embeddings are indexed, and of how many.

        Raises:
          ImportError: its package is missing; names the extra.
          ValueError: it needs a folder and there is none.
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
    """Whether a filter keeps so few rows that `dense` is the way to search them."""
    kept = np.count_nonzero(mask)
    return kept <= max(DENSE_ROWS, DENSE_SHARE * len(mask))


def dense(
    vectors: np.ndarray, queries: np.ndarray, k: int, rows: Sequence[int] | np.ndarray
) -> Neighbors:
    """Exact search of a few rows, on the host.

    Args:
      vectors: `[n d]`, of any float type.
      queries: float32 `[q d]`.
      k: how many to find.
      rows: numbers of those to search, in order.
    """
    rows = np.asarray(rows, np.int64)
    scores = np.float32(queries) @ vectors[rows].astype(np.float32).T
    return best(scores, np.broadcast_to(rows, scores.shape), k)


def best(scores: np.ndarray, rows: np.ndarray, k: int) -> Neighbors:
    """The best `k` candidates of each query, `[q c]` each; rows of NOT_FOUND come last."""
    scores = np.where(rows == NOT_FOUND, -np.inf, scores).astype(np.float32)
    order = np.lexsort((rows, -scores))[:, :k]
    scores, rows = (np.take_along_axis(x, order, axis=1) for x in (scores, rows))
    missing = k - scores.shape[1]
    if missing > 0:
        wide = ((0, 0), (0, missing))
        scores = np.pad(scores, wide, constant_values=-np.inf)
        rows = np.pad(rows, wide, constant_values=NOT_FOUND)
    return Neighbors(scores, np.where(np.isneginf(scores), NOT_FOUND, rows).astype(np.int64))
