"""Reading and writing of one Parquet file of a catalog."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def read_parquet(path: Path, remedy: str = "ingest its film again") -> pa.Table:
    """Read a file completely.

    Args:
      path: path of the file.
      remedy: advice for the error message.

    Raises:
      FileNotFoundError, ValueError: the file is missing or damaged.
    """
    try:
        # Not read_table: it would take the folder's name for a partition key.
        table = pq.ParquetFile(path).read()
        table.validate(full=True)
        return table
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; {remedy}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}); {remedy}") from None


def write_parquet(path: Path, rows: Sequence[dict], schema: pa.Schema) -> None:
    """Write rows."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path, compression="zstd")
