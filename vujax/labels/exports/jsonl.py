"""JSON lines: one object a label, with everything that is known (`rows.COLUMNS`)."""

import json
from pathlib import Path

from vujax.labels.exports import Export, write_text


def write_jsonl(export: Export, out: Path) -> list[str]:
    """Writes the file."""
    lines = (json.dumps(row.cells(), ensure_ascii=False) + "\n" for row in export.rows)
    write_text(out, "".join(lines))
    return []
