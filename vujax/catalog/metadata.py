"""Film metadata (title, genres, ...): a CSV or Parquet table that is joined to the films."""

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
    """Metadata columns of one film.

    Attributes:
      schema: names and types of the columns.
      row: values of the columns.
    """

    schema: pa.Schema
    row: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Hash of the columns and values."""
        text = json.dumps([str(self.schema), dict(self.row)], default=str, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Metadata:
    """Metadata table with one row per film.

    Attributes:
      key: column to join on: 'film' (id) or 'path' (relative to the folder, with /).
      schema: its other columns.
      rows: values of these, by key.
    """

    key: str
    schema: pa.Schema
    rows: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a .parquet file, or any other as CSV: UTF-8, a header line, all values text.

        Raises:
          FileNotFoundError: the file does not exist.
          ValueError: the file is damaged, has no key column, has two rows of one film, or a column
            with a name that the catalog uses.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist (metadata)")
        table = _parquet(path) if path.suffix.lower() in PARQUET else _csv(path)
        names = table.column_names
        key = next((name for name in KEYS if name in names), None)
        if key is None:
            raise ValueError(f"{path} has neither a column 'film' nor 'path'; it has {names}")
        taken = [name for name in names if name in FILMS.names and name not in KEYS]
        if taken or len(set(names)) < len(names):
            clash = taken or [name for name in names if names.count(name) > 1]
            raise ValueError(f"{path}: the column name {clash[0]!r} is taken; rename the column")
        rows: dict[str, Mapping[str, Any]] = {}
        for row in table.to_pylist():
            value = row[key]
            if not isinstance(value, str) or value in rows:
                what = (
                    f"has the {key} {value!r} twice"
                    if value in rows
                    else f"has a row without {key}"
                )
                raise ValueError(f"{path} {what}; give each film one row")
            rows[value] = {name: row[name] for name in names if name not in KEYS}
        schema = pa.schema([field for field in table.schema if field.name not in KEYS])
        return cls(key, schema, rows)

    def lookup(self, film: str, path: str) -> FilmMetadata:
        """Return the metadata of one film, with null values if the table has no row of it."""
        row = self.rows.get(film if self.key == "film" else path)
        return FilmMetadata(self.schema, row or dict.fromkeys(self.schema.names))


def _csv(path: Path) -> pa.Table:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV file in UTF-8 ({error})") from None
    except ValueError:
        raise ValueError(f"{path} is empty; it needs a header line") from None
    rows = [row for row in rows if row]  # without blank lines
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ValueError(
                f"{path}: row {number} has {len(row)} values and the header {len(header)}; "
                "put values with commas into quotes"
            )
    columns = [pa.array([row[i] or None for row in rows], pa.string()) for i in range(len(header))]
    return pa.Table.from_arrays(columns, names=header)


def _parquet(path: Path) -> pa.Table:
    try:
        table = pq.ParquetFile(path).read()
        table.validate(full=True)  # finds text that is not UTF-8, among other things
        return table
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path} is not a complete Parquet file ({error})") from None
