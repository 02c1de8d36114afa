"""The films of a catalogue as movies, by what its metadata says of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vujax.catalog.read import Catalog
from vujax.data.movie_records import Movies
from vujax.data.movie_tables import dated, genres_of
from vujax.data.table_rows import NULLS


def catalog_movies(path: str | Path) -> Movies:
    """The films that have shots; ids are the films'.

    Columns of the metadata (`vujax ingest --metadata`) that are read, where there are such: title,
    year, genres (`Comedy|Drama`, or lists) or genre, synopsis or description. A film without a
    title goes by its path.

    Raises:
      FileNotFoundError: there is no catalogue.
      ValueError: it is damaged, or genres are separated by something else than |.
    """
    rows = [row for row in Catalog(path).films().to_pylist() if row["shots"]]
    return Movies(
        tuple(row["film"] for row in rows),
        tuple(dated(_text(row, "title") or row["path"], _text(row, "year")) for row in rows),
        tuple(genres_of(_cell(row, "genres", "genre"), f"{path}, {row['film']}") for row in rows),
        tuple(_text(row, "synopsis", "description") for row in rows),
    )


def _cell(row: Mapping[str, Any], *names: str) -> Any:
    known = (row.get(name) for name in names)
    return next((cell for cell in known if cell is not None and cell not in NULLS), None)


def _text(row: Mapping[str, Any], *names: str) -> str:
    cell = _cell(row, *names)
    return "" if cell is None else str(cell).strip()
