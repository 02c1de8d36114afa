"""What finds the nearest vectors: one small interface, and each searcher by its name."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from vujax.search.index import Index

NAMES = ("exact", "faiss", "lance")
NOTHING = -1  # the row where a search found fewer than it was asked for

DENSE_ROWS = 20_000
DENSE_SHARE = 0.02
"""A filter that keeps fewer rows than this many, or this share, is searched without a graph:
its few rows are compared one by one, which is exact and quicker than to walk past the others."""


class Found(NamedTuple):
    """The nearest rows of each query, best first; equal scores in order of rows.

    Attributes:
      scores: float32 `[q k]`, products of query and vector; -inf where there is none.
      rows: int64 `[q k]`, NOTHING where there is none.
    """

    scores: np.ndarray
    rows: np.ndarray


class Searcher(Protocol):
    """Finds the vectors of largest product with a query.

    Attributes:
      name: one of NAMES.
    """

    name: str

    def search(self, queries: np.ndarray, k: int, mask: np.ndarray | None = None) -> Found:
        """Searches.

        Args:
          queries: float32 `[q d]`.
          k: how many to find for each; fewer when there are fewer rows.
          mask: bool `[n]`, which rows may be found; None: all.
        """


def open_searcher(
    name: str, index: Index, report: Callable[[int, int], None] = lambda done, all: None
) -> Searcher:
    """A searcher over an index; what it has to build is kept beside the index's vectors.

    Args:
      name: one of NAMES.
      index: to search.
      report: is told how many vectors a graph has, of how many.

    Raises:
      ValueError: there is none of this name.
      ImportError: its package is missing; names the extra.
    """
    if name == "exact":
        from vujax.search.backends.exact import Exact

        return Exact(index.vectors)
    if name == "faiss":
        from vujax.search.backends.faiss import Faiss

        return Faiss(index.vectors, index.folder, report=report)
    if name == "lance":
        from vujax.search.backends.lance import Lance

        return Lance(index.vectors, index.folder)
    raise ValueError(f"there is no searcher {name!r}: there are {', '.join(NAMES)}")


def is_narrow(mask: np.ndarray) -> bool:
    """Whether a filter keeps so few rows that `dense` is the way to search them."""
    kept = np.count_nonzero(mask)
    return kept <= max(DENSE_ROWS, DENSE_SHARE * len(mask))


def dense(
    vectors: np.ndarray, queries: np.ndarray, k: int, rows: Sequence[int] | np.ndarray
) -> Found:
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


def best(scores: np.ndarray, rows: np.ndarray, k: int) -> Found:
    """The best `k` candidates of each query, `[q c]` each; rows of NOTHING come last."""
    scores = np.where(rows == NOTHING, -np.inf, scores).astype(np.float32)
    order = np.lexsort((rows, -scores))[:, :k]
    scores, rows = (np.take_along_axis(x, order, axis=1) for x in (scores, rows))
    missing = k - scores.shape[1]
    if missing > 0:
        wide = ((0, 0), (0, missing))
        scores = np.pad(scores, wide, constant_values=-np.inf)
        rows = np.pad(rows, wide, constant_values=NOTHING)
    return Found(scores, np.where(np.isneginf(scores), NOTHING, rows).astype(np.int64))
