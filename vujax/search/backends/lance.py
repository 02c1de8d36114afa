"""Search in a LanceDB table on disk, for vectors that do not fit into memory, extra [lance]."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vujax.search.backends.base import Neighbors, Report, is_narrow, search_rows, select_best
from vujax.utils.io import remove_stale_temporaries, write_folder_atomically

TABLE = "vectors"
FLAT_ROWS = 20_000
"""Smaller tables are searched without an index, which is exact."""
PROBES = 30  # partitions of the index that a query searches
REFINE = 10  # times k candidates are compared again by their full vectors
BLOCK = 10_000  # vectors per written batch


class Lance:
    """A `SearchBackend` over a table on disk: partitions, a graph in each, 8-bit values."""

    name = "lance"

    def __init__(self, vectors: np.ndarray, folder: Path | None) -> None:
        """Open the stored table, or write it.

        Args:
          vectors: `[n d]` unit vectors, of any float type.
          folder: folder of the stored table.

        Raises:
          ImportError: the extra [lance] is not installed.
          ValueError: there is no folder to keep it in.
        """
        database = _package()
        if folder is None:
            raise ValueError(
                "the search backend lance needs a writable catalog; use exact or faiss"
            )
        self._vectors, place = vectors, folder / "lance"
        self._table = _open(database, place, len(vectors))
        if self._table is None:
            _make(database, place, vectors)
            self._table = database.connect(place).open_table(TABLE)

    @classmethod
    def open(cls, vectors: np.ndarray, folder: Path | None, report: Report) -> "Lance":
        """Open it over embeddings; see `SearchBackend.open`."""
        del report
        return cls(vectors, folder)

    def search(self, queries: np.ndarray, k: int, mask: np.ndarray | None = None) -> Neighbors:
        """See `SearchBackend`; with a filter, more rows are requested until enough pass it."""
        queries = np.float32(queries)
        if mask is not None and is_narrow(mask):
            return search_rows(self._vectors, queries, k, np.flatnonzero(mask))
        results = [self._search_one(query, k, mask) for query in queries]
        return Neighbors(
            scores=np.concatenate([result.scores for result in results]),
            rows=np.concatenate([result.rows for result in results]),
        )

    def _search_one(self, query: np.ndarray, k: int, mask: np.ndarray | None) -> Neighbors:
        count = len(self._vectors)
        matching = count if mask is None else int(np.count_nonzero(mask))
        requested = min(count, -(-2 * k * count // matching)) if mask is not None else min(k, count)
        while True:
            scores, rows = self._request(query, requested)
            passed = slice(None) if mask is None else mask[rows]
            enough = len(rows[passed]) >= min(k, matching)
            if enough or requested == count:
                break
            requested = min(count, 2 * requested)
        if not enough:  # the searched partitions have no more
            every = np.arange(count) if mask is None else np.flatnonzero(mask)
            return search_rows(self._vectors, query[None], k, every)
        return select_best(scores[passed][None], rows[passed][None], k)

    def _request(self, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        search = self._table.search(query).distance_type("dot").limit(k)
        search = search.nprobes(PROBES).refine_factor(REFINE).select(["row", "_distance"])
        table = search.to_arrow()
        return 1 - table["_distance"].to_numpy(), table[
            "row"
        ].to_numpy()  # the distance is 1 - product


def _open(database: Any, place: Path, count: int) -> Any:
    """Return the stored table, or None if it is missing or damaged."""
    if not place.is_dir():
        return None
    try:
        table = database.connect(place).open_table(TABLE)
        return table if table.count_rows() == count else None
    except (ValueError, OSError, RuntimeError):
        return None


def _make(database: Any, place: Path, vectors: np.ndarray) -> None:
    """Write the table and its index atomically."""
    dim = vectors.shape[1]
    schema = pa.schema({"row": pa.int64(), "vector": pa.list_(pa.float32(), dim)})
    remove_stale_temporaries(place.parent)

    def write(folder: Path) -> None:
        rows = pa.RecordBatchReader.from_batches(schema, _batches(vectors, schema))
        table = database.connect(folder).create_table(TABLE, rows)
        if len(vectors) >= FLAT_ROWS:
            table.create_index(metric="dot", index_type="IVF_HNSW_SQ")

    write_folder_atomically(place, write, overwrite=True)


def _batches(vectors: np.ndarray, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for first in range(0, len(vectors), BLOCK):
        part = np.ascontiguousarray(vectors[first : first + BLOCK], np.float32)
        rows = pa.array(np.arange(first, first + len(part), dtype=np.int64))
        column = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), part.shape[1])
        yield pa.record_batch([rows, column], schema=schema)


def _package() -> Any:
    try:
        import lancedb
    except ImportError as error:
        raise ImportError(
            "the search backend lance needs the lancedb package; run pip install 'vujax[lance]'"
        ) from error
    return lancedb
