"""Search results as files: Parquet, CSV, JSON lines, or a page with images."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from vujax.search.hits import Hit
from vujax.search.index import Index
from vujax.utils.io import TABLE_SUFFIXES, write_table

COLUMNS = pa.schema(
    {
        "rank": pa.int32(),
        "score": pa.float32(),
        "id": pa.string(),
        "film": pa.string(),
        "title": pa.string(),
        "timecode": pa.string(),
        "seconds": pa.float64(),
        "pts": pa.int64(),
        "begin_s": pa.float64(),
        "end_s": pa.float64(),
        "first_shot": pa.int32(),
        "last_shot": pa.int32(),
        "folded": pa.int32(),
        "level": pa.string(),
        "encoder": pa.string(),  # its name and hash
        "query": pa.string(),
    }
)
SUFFIXES = (*TABLE_SUFFIXES, ".html")


def check_suffix(path: Path) -> None:
    """Check that the suffix of a file is one of a known format.

    Raises:
      ValueError: it is not.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: results are written as {', '.join(SUFFIXES)}")


def write_results(path: Path, index: Index, hits: Sequence[Hit], query: str) -> Path:
    """Write results atomically.

    Args:
      path: output file; its suffix selects the format.
      index: index that was searched.
      hits: results.
      query: the query in words.

    Raises:
      ValueError: the suffix is unknown.
    """
    check_suffix(path)
    if path.suffix.lower() == ".html":
        from vujax.search.page import write_page

        return write_page(path, index, hits, query)
    about = dict(level=index.level, encoder=index.model.folder, query=query)
    rows = [dataclasses.asdict(hit) | {"begin_s": hit.start_s} | about for hit in hits]
    return write_table(path, [pa.Table.from_pylist(rows, schema=COLUMNS)], COLUMNS)
