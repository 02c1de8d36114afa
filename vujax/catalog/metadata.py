"""What people know of films (title, genres, ...): a CSV or Parquet table, joined to them."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from vujax.catalog.schema import FILMS

KEYS = ("film", "path")
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class FilmMetadata:
    """Columns of one film's row among the films.

    Attributes:
      schema: their names and types.
      row: their values.
    """

    schema: pa.Schema
    row: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Changes with any value."""
        text = json.dumps([str(self.schema), dict(self.row)], default=str, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Metadata:
    """A table with one row a film.

    Attributes:
      key: the column that it is joined on: 'film' (id) or 'path' (in the folder, with /).
      schema: its other columns.
      rows: their values by key.
    """

    key: str
    schema: pa.Schema
    rows: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a .parquet file, or any other as CSV: UTF-8, a header line, all values text.

        Raises:
          FileNotFoundError: there is none.
          ValueError: it cannot be read, has neither key, names a film twice, or has a column of a
            name that the catalogue uses.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist (metadata)")
        table = _parquet(path) if path.suffix.lower() in PARQUET else _csv(path)
        names = table.column_names
        key = next((name for name in KEYS if name in names), None)
        if key is None:
            raise ValueError(f"{path} has neither a column 'film' nor 'path': it has {names}")
        taken = [name for name in names if name in FILMS.names and name not in KEYS]
        if taken or len(set(names)) < len(names):
            clash = taken or [name for name in names if names.count(name) > 1]
            raise ValueError(f"{path}: rename the column {clash[0]!r}: there is another so named")
        rows: dict[str, Mapping[str, Any]] = {}
        for row in table.to_pylist():
            value = row[key]
            if not isinstance(value, str) or value in rows:
                what = (
                    f"has the {key} {value!r} twice"
                    if value in rows
                    else f"has a row without {key}"
                )
                raise ValueError(f"{path} {what}: give each film one row")
            rows[value] = {name: row[name] for name in names if name not in KEYS}
        schema = pa.schema([field for field in table.schema if field.name not in KEYS])
        return cls(key, schema, rows)

    def lookup(self, film: str, path: str) -> FilmMetadata:
        """The columns of one film, without values when the table has no row of it."""
        row = self.rows.get(film if self.key == "film" else path)
        return FilmMetadata(self.schema, row or dict.fromkeys(self.schema.names))


def _csv(path: Path) -> pa.Table:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file in UTF-8 ({error})") from None
    except ValueError:
        raise ValueError(f"{path} is empty: it needs a header line") from None
    rows = [row for row in rows if row]  # a blank line is none
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ValueError(
                f"{path}: row {number} has {len(row)} values and the header {len(header)}: "
                "put values with commas into quotes"
            )
    columns = [pa.array([row[i] or None for row in rows], pa.string()) for i in range(len(header))]
    return pa.Table.from_arrays(columns, names=header)


def _parquet(path: Path) -> pa.Table:
    try:
        table = pq.ParquetFile(path).read()
        table.validate(full=True)  # texts that are no UTF-8, among other things
        return table
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path} is no whole Parquet file ({error})") from None
