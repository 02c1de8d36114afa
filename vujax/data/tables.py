"""Rows of CSV and Parquet tables, with their file and line for error messages.

CSV is UTF-8 with a header line, also as .csv.gz. Empty cells and `\\N`, the null of MySQL's dumps,
are None.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

PARQUET = (".parquet", ".pq")
NULLS = ("", r"\N")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "|", " ": "spaces"}


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
      where: file and line, for messages.
      cells: cells by column: text of a CSV, any value of a Parquet file, None for missing values.
    """

    where: str
    cells: dict[str, Any]

    def text(self, column: str) -> str:
        """Return a cell as text, '' for a missing value or column."""
        value = self.cells.get(column)
        return "" if value is None else str(value).strip()

    def require(self, column: str) -> str:
        """Return a cell as text.

        Raises:
          ValueError: the value is missing.
        """
        text = self.text(column)
        if not text:
            raise ValueError(f"{self.where}: {column} is missing")
        return text

    def number(self, column: str, low: float, high: float) -> float | None:
        """Return a cell as a number within low..high; None for a missing value.

        Raises:
          ValueError: the cell is not such a number.
        """
        text = self.text(column)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{self.where}: the {column} {text!r} is not a number") from None
        if not low <= value <= high:
            raise ValueError(f"{self.where}: the {column} {text} is not within {low:g}..{high:g}")
        return value


def find_table(folder: Path, name: str) -> Path | None:
    """Return the first of NAME.parquet, NAME.csv and NAME.csv.gz in a folder, or None."""
    suffixes = (".parquet", ".csv", ".csv.gz")
    files = (folder / f"{name}{suffix}" for suffix in suffixes)
    return next((file for file in files if file.is_file()), None)


def require_table(folder: Path, name: str) -> Path:
    """Return the path of a table, see `find_table`.

    Raises:
      FileNotFoundError: there is none.
    """
    path = find_table(folder, name)
    if path is None:
        raise FileNotFoundError(f"{folder} has no {name}.csv, {name}.csv.gz or {name}.parquet")
    return path


def read_rows(path: Path, needed: Sequence[str], separator: str = ",") -> Iterator[Row]:
    """Yield the rows of a .parquet file, or of any other file as CSV.

    Args:
      path: table.
      needed: required columns.
      separator: separator of a CSV.

    Raises:
      FileNotFoundError: the table does not exist.
      ValueError: it cannot be read, or lacks a column; a row has more or fewer cells than the
        header. Names the file and the line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if path.suffix.lower() in PARQUET:
        return _parquet(path, needed)
    return _csv(path, needed, separator)


def _csv(path: Path, needed: Sequence[str], separator: str) -> Iterator[Row]:
    reader = csv.reader(read_lines(path), delimiter=separator, strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not cells:  # skip blank lines
                continue
            where = f"{path}, line {reader.line_num}"
            if header is None:
                header = [name.strip() for name in cells]
                _check_header(path, header, needed, separator)
            elif len(cells) != len(header):
                raise ValueError(
                    f"{where}: {len(cells)} cells under a header of {len(header)}: put cells that "
                    f"hold {SEPARATORS.get(separator, separator)} into quotes"
                )
            else:
                known = (None if cell in NULLS else cell for cell in cells)
                yield Row(where, dict(zip(header, known, strict=True)))
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not CSV ({error})") from None
    if header is None:
        raise ValueError(f"{path} is empty: it needs a header line")


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 text file, also of .gz, with their line ends.

    Raises:
      ValueError: the file is not UTF-8 or is truncated; names the file and line.
    """
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}, line {number}: not UTF-8 ({error.reason}): convert it") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is not a complete gzip file, after line {number} ({error})"
        ) from None


def _check_header(path: Path, header: list[str], needed: Sequence[str], separator: str) -> None:
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise ValueError(f"{path}, line 1: duplicate column {twice[0]!r}")
    missing = [name for name in needed if name not in header]
    if not missing:
        return
    others = [mark for mark in SEPARATORS if mark != separator and mark in header[0]]
    if len(header) == 1 and others:
        raise ValueError(
            f"{path}, line 1: cells are separated by {SEPARATORS[others[0]]} where "
            f"{SEPARATORS.get(separator, separator)} are read"
        )
    raise ValueError(f"{path}, line 1: no column {missing[0]!r}: it has {', '.join(header)}")


def _parquet(path: Path, needed: Sequence[str]) -> Iterator[Row]:
    try:
        table = pq.ParquetFile(path).read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path} is not a complete Parquet file ({error})") from None
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise ValueError(
            f"{path}: no column {missing[0]!r}: it has {', '.join(table.column_names)}"
        )
    number = 0
    for batch in table.to_batches():
        for cells in batch.to_pylist():
            number += 1
            known = {name: None if cell in NULLS else cell for name, cell in cells.items()}
            yield Row(f"{path}, row {number}", known)
