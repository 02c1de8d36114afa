"""Search in a LanceDB table, extra [lance]: on disk, for vectors that do not fit into memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vujax.search.backends.base import Neighbors, Report, best, dense, is_narrow
from vujax.utils.io import remove_stale_temporaries, write_folder_atomically

TABLE = "vectors"
FLAT_ROWS = 20_000
"""A smaller table is searched without an index, which is exact."""
PROBES = 30  # partitions of the index that a query looks into
REFINE = 10  # times k candidates are compared anew by their full vectors
BLOCK = 10_000  # vectors that are written at once


class Lance:
    """A `Searcher` over a table on disk: partitions, a graph in each, numbers of 8 bits."""

    name = "lance"

    def __init__(self, vectors: np.ndarray, folder: Path | None) -> None:
        """Opens the table that is kept, or writes it.

        Args:
          vectors: `[n d]` unit vectors, of any float type.
          folder: where the table is kept.

        Raises:
          ImportError: the extra [lance] is not installed.
          ValueError: there is no folder to keep it in.
        """
        database = _package()
        if folder is None:
            raise ValueError("the searcher lance needs a catalogue that it can write into")
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
        """See `Searcher`; with a filter more rows are asked for, until enough of them pass it."""
        queries = np.float32(queries)
        if mask is not None and is_narrow(mask):
            return dense(self._vectors, queries, k, np.flatnonzero(mask))
        found = [self._one(query, k, mask) for query in queries]
        return Neighbors(*(np.concatenate(part) for part in zip(*found, strict=True)))

    def _one(self, query: np.ndarray, k: int, mask: np.ndarray | None) -> Neighbors:
        count = len(self._vectors)
        kept = count if mask is None else int(np.count_nonzero(mask))
        asked = min(count, -(-2 * k * count // kept)) if mask is not None else min(k, count)
        while True:
            scores, rows = self._ask(query, asked)
            passed = slice(None) if mask is None else mask[rows]
            enough = len(rows[passed]) >= min(k, kept)
            if enough or asked == count:
                break
            asked = min(count, 2 * asked)
        if not enough:  # the partitions that were looked into have no more
            every = np.arange(count) if mask is None else np.flatnonzero(mask)
            return dense(self._vectors, query[None], k, every)
        return best(scores[passed][None], rows[passed][None], k)

    def _ask(self, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        search = self._table.search(query).distance_type("dot").limit(k)
        search = search.nprobes(PROBES).refine_factor(REFINE).select(["row", "_distance"])
        found = search.to_arrow()
        return 1 - found["_distance"].to_numpy(), found["row"].to_numpy()  # it is 1 - product


def _open(database: Any, place: Path, count: int) -> Any:
    """The table that is kept; None when there is none, or it is damaged."""
    if not place.is_dir():
        return None
    try:
        table = database.connect(place).open_table(TABLE)
        return table if table.count_rows() == count else None
    except (ValueError, OSError, RuntimeError):
        return None


def _make(database: Any, place: Path, vectors: np.ndarray) -> None:
    """Writes the table and its index; the folder appears whole or not at all."""
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
            "the searcher lance needs the lancedb package: pip install 'vujax[lance]'"
        ) from error
    return lancedb
