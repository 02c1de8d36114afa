"""Files that appear whole or not at all."""

import csv
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], Any]) -> Path:
    """Calls `write` on a temporary name beside `path`, then renames: never a half-written file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_json(path: Path, value: Any) -> Path:
    """Writes JSON, indented, atomically."""
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    return write_atomically(path, lambda p: p.write_text(text))


def csv_rows(path: Path, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows with a header (RFC 4180, UTF-8), one after the other; for `write_atomically`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)


def json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes an object a line, one after the other; for `write_atomically`."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
