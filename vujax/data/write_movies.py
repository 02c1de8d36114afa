"""Movies as tables that `vujax.data.movie_tables.open_movies` reads."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vujax.data.movie_records import Movies
from vujax.files import write_atomically


def write_movies(movies: Movies, folder: str | Path) -> Path:
    """Writes movies.parquet, and ratings.parquet and lists.parquet where there are such.

    Users keep their numbers; titles have their years.
    """
    folder = Path(folder)
    columns = dict(
        id=movies.ids,
        title=movies.titles,
        genres=[sorted(found) for found in movies.genres],
        synopsis=movies.synopses,
    )
    types = [pa.string(), pa.string(), pa.list_(pa.string()), pa.string()]
    schema = pa.schema(list(zip(columns, types, strict=True)))
    write_table(pa.table(columns, schema=schema), folder / "movies.parquet")
    if movies.ratings is not None:
        ids = pa.array(np.array(movies.ids, object)[movies.ratings.movie], pa.string())
        value = pa.array(movies.ratings.value, from_pandas=True)  # NaN as null: not rated
        ratings = pa.table(dict(user=movies.ratings.user, movie=ids, rating=value))
        write_table(ratings, folder / "ratings.parquet")
    if movies.lists is not None:
        pairs = [(movie, other) for movie, found in movies.lists.items() for other in found]
        columns = dict(movie=[pair[0] for pair in pairs], similar=[pair[1] for pair in pairs])
        schema = pa.schema([("movie", pa.string()), ("similar", pa.string())])
        write_table(pa.table(columns, schema=schema), folder / "lists.parquet")
    return folder


def write_table(table: pa.Table, path: Path) -> Path:
    """Writes a Parquet file, whole or not at all."""
    return write_atomically(path, lambda p: pq.write_table(table, p))
