"""CSV of labels: columns `label` and `id`, or `label`, `video`, `start` and `end`.

Read too, where they are there: `value` (1, or -1 or 0 for what does not hold) and `score`.
"""

from collections.abc import Iterator
from pathlib import Path

from vujax.data.table_rows import read_rows
from vujax.labels.imports import Given, given


def read_csv(path: Path) -> Iterator[Given]:
    """What the file says.

    Raises:
      ValueError: it is no such CSV; names the line.
    """
    for row in read_rows(path, ["label"]):
        yield given(row.where, row.cells)
