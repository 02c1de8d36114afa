"""CSV: `video,label,start,end,score`, and with them whether the label holds, and the item's id."""

import csv
import io
from pathlib import Path

from vujax.labels.exports import Export, write_text

CSV_COLUMNS = ("video", "label", "start", "end", "score", "value", "id")


def write_csv(export: Export, out: Path) -> list[str]:
    """Writes the file (RFC 4180, UTF-8); seconds with six digits, `value` 1 or -1."""
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(CSV_COLUMNS)
    for row in export.rows:
        cells = row.cells()
        span = [f"{cells[name]:.6f}" for name in ("begin_s", "end_s")]
        score = "" if cells["score"] is None else f"{cells['score']:.6f}"
        table.writerow([cells["video"], row.label, *span, score, cells["value"], cells["id"]])
    write_text(out, file.getvalue())
    return []
