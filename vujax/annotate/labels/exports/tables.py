"""CSV, JSON lines and Parquet: one row per label.

CSV has the columns CSV_COLUMNS; JSON lines and Parquet have all columns of `rows.COLUMNS`.
"""

import csv
import io
import json
from pathlib import Path

import pyarrow as pa

from vujax.annotate.labels.exports.base import LabelExport, LabelFormat
from vujax.annotate.labels.rows import COLUMNS
from vujax.utils import io as files

CSV_COLUMNS = ("video", "label", "start", "end", "score", "value", "id")

NUMBER_TYPES = {
    "value": pa.int8(),
    "begin_s": pa.float64(),
    "end_s": pa.float64(),
    "pts": pa.int64(),
    "score": pa.float64(),
}

SCHEMA = pa.schema([(name, NUMBER_TYPES.get(name, pa.string())) for name in COLUMNS])


def write_csv(export: LabelExport, out: Path) -> list[str]:
    """Write CSV (RFC 4180, UTF-8); seconds with six digits, `value` 1 or -1."""
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(CSV_COLUMNS)
    for row in export.rows:
        cells = row.cells()
        span = [f"{cells[name]:.6f}" for name in ("begin_s", "end_s")]
        score = "" if cells["score"] is None else f"{cells['score']:.6f}"
        table.writerow([cells["video"], row.label, *span, score, cells["value"], cells["id"]])
    files.write_text(out, file.getvalue(), newline="")
    return []


def write_jsonl(export: LabelExport, out: Path) -> list[str]:
    """Write JSON lines."""
    lines = (json.dumps(row.cells(), ensure_ascii=False) + "\n" for row in export.rows)
    files.write_text(out, "".join(lines), newline="")
    return []


def write_parquet(export: LabelExport, out: Path) -> list[str]:
    """Write Parquet."""
    table = pa.Table.from_pylist([row.cells() for row in export.rows], schema=SCHEMA)
    files.write_parquet(out, table)
    return []


CSV = LabelFormat(".csv", write_csv)
JSONL = LabelFormat(".jsonl", write_jsonl)
PARQUET = LabelFormat(".parquet", write_parquet)
