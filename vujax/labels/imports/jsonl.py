"""JSON lines of labels, with the names that our own export uses (`labels.rows.COLUMNS`)."""

import json
from collections.abc import Iterator
from pathlib import Path

from vujax.data.table_rows import read_lines
from vujax.labels.imports import Given, given


def read_jsonl(path: Path) -> Iterator[Given]:
    """What the file says.

    Raises:
      ValueError: it is no such file; names the line.
    """
    for number, line in enumerate(read_lines(path), 1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where}: no JSON ({error})") from None
        if not isinstance(cells, dict):
            raise ValueError(f"{where}: no object with a label")
        yield given(where, cells)
