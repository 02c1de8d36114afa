"""Approximate search with a graph: HNSW of Faiss, extra [ann].

Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical
Navigable Small World graphs" (2016), arXiv:1603.09320. `vujax search-recall` measures its recall.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vujax.search.backends.base import Neighbors, Report, is_narrow, search_rows, select_best
from vujax.utils.io import remove_stale_temporaries, write_atomically

LINKS = 24  # per vector, twice as many in the lowest layer
BUILD_BREADTH = 80  # candidates when a vector is inserted
SEARCH_BREADTH = 512  # minimum number of candidates of a query
BLOCK = 4096  # vectors inserted between two reports


class Faiss:
    """A `SearchBackend` over a graph of neighbors."""

    name = "faiss"

    def __init__(
        self,
        vectors: np.ndarray,
        folder: Path | None,
        breadth: int = SEARCH_BREADTH,
        report: Callable[[int, int], None] = lambda done, all: None,
    ) -> None:
        """Read the stored graph, or build it, which takes minutes for a million vectors.

        Args:
          vectors: `[n d]` unit vectors, of any float type.
          folder: folder of the stored graph; None to store nothing.
          breadth: minimum number of candidates of a query; more give higher recall and latency.
          report: called with the number of inserted vectors and of all vectors.

        Raises:
          ImportError: the extra [ann] is not installed.
        """
        self._faiss = _package()
        self._vectors, self._breadth = vectors, breadth
        path = folder and folder / f"faiss-hnsw-{LINKS}-{BUILD_BREADTH}.bin"
        self._graph = self._read(path) if path and path.exists() else None
        if self._graph is None:
            self._graph = self._build(report)
            if path:
                remove_stale_temporaries(path.parent)
                write_atomically(path, lambda p: self._faiss.write_index(self._graph, os.fspath(p)))

    @classmethod
    def open(cls, vectors: np.ndarray, folder: Path | None, report: Report) -> "Faiss":
        """Open it over embeddings; see `SearchBackend.open`."""
        return cls(vectors, folder, report=report)

    def search(self, queries: np.ndarray, k: int, mask: np.ndarray | None = None) -> Neighbors:
        """See `SearchBackend`; exact if a filter matches few rows, or the graph yields too few."""
        queries = np.ascontiguousarray(queries, np.float32)
        if mask is not None and is_narrow(mask):
            return search_rows(self._vectors, queries, k, np.flatnonzero(mask))
        matching = len(self._vectors) if mask is None else int(np.count_nonzero(mask))
        scores, rows = self._graph.search(
            queries, min(k, matching), params=self._parameters(k, matching, mask)
        )
        if (rows < 0).any():
            every = np.arange(len(self._vectors)) if mask is None else np.flatnonzero(mask)
            return search_rows(self._vectors, queries, k, every)
        return select_best(scores, rows, k)

    def _parameters(self, k: int, matching: int, mask: np.ndarray | None) -> Any:
        # With so many candidates, as many pass the filter as without a filter.
        breadth = max(self._breadth, 2 * k) * len(self._vectors) // matching
        parameters = self._faiss.SearchParametersHNSW(efSearch=breadth)
        if mask is not None:
            self._bits = np.packbits(mask, bitorder="little")  # Faiss does not copy it
            parameters.sel = self._faiss.IDSelectorBitmap(self._bits)
        return parameters

    def _build(self, report: Callable[[int, int], None]) -> Any:
        count, dim = self._vectors.shape
        graph = self._faiss.IndexHNSWFlat(dim, LINKS, self._faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = BUILD_BREADTH
        for first in range(0, count, BLOCK):  # Ctrl-C is handled between blocks
            graph.add(np.ascontiguousarray(self._vectors[first : first + BLOCK], np.float32))
            report(min(first + BLOCK, count), count)
        return graph

    def _read(self, path: Path) -> Any:
        """Memory-map the graph of a file; None if it is damaged or of other vectors."""
        try:
            graph = self._faiss.read_index(os.fspath(path), self._faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError:
            return None
        is_right = (graph.ntotal, graph.d, graph.metric_type) == (
            *self._vectors.shape,
            self._faiss.METRIC_INNER_PRODUCT,
        )
        return graph if is_right and isinstance(graph, self._faiss.IndexHNSWFlat) else None


def _package() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "the search backend faiss needs the faiss-cpu package; run pip install 'vujax[ann]'"
        ) from error
    return faiss
