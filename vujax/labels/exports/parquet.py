"""Parquet: one row a label, with everything that is known (`rows.COLUMNS`)."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vujax.files import write_atomically
from vujax.labels.exports import Export
from vujax.labels.rows import COLUMNS

NUMBERS = {
    "value": pa.int8(),
    "begin_s": pa.float64(),
    "end_s": pa.float64(),
    "pts": pa.int64(),
    "score": pa.float64(),
}
SCHEMA = pa.schema([(name, NUMBERS.get(name, pa.string())) for name in COLUMNS])


def write_parquet(export: Export, out: Path) -> list[str]:
    """Writes the file."""
    table = pa.Table.from_pylist([row.cells() for row in export.rows], schema=SCHEMA)
    write_atomically(out, lambda path: pq.write_table(table, path, compression="zstd"))
    return []
