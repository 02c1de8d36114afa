r"""Tables of movies: those of the user, of public data sets and of synthetic films.

    open_movies("mine/")         # movies.csv or .parquet; optional: ratings, lists
    open_movies("films/")        # set.json of synthetic films
    open_movies("ml-latest/")    # MovieLens: movies.csv, links.csv, ratings.csv
    open_movies("condensed/")    # Condensed Movies: movies.csv, movie_info.csv, clips.csv, ...

`vujax.data.registry.open_movies` opens them all; this module reads and writes the user's own tables
(CSV, CSV in gzip, or Parquet; UTF-8; `\N` and empty cells are missing values):

    movies     id, title; optional: year, genres (`Comedy|Drama`, or lists in Parquet), synopsis
    ratings    user, movie; optional: rating, from 0 to 10
    lists      movie, similar: a movie's more-like-this list, best first
    pairs      movie, similar; optional: score. For the channel pairs, a file of its own

A repeated id, a rating out of range, a surplus cell or text that is not UTF-8 is a ValueError with
file and line. Ratings and lists of unknown movies are left out and counted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from vujax.data.movies.records import Movies, Ratings
from vujax.data.tables import Row, find_table, read_rows, require_table
from vujax.utils.io import write_parquet

RATINGS = (0.0, 10.0)


def read_movie_folder(folder: Path) -> Movies:
    """Read a folder of the user's own tables.

    Raises:
      FileNotFoundError: there is no table of movies.
      ValueError: a table cannot be read; names the file and line.
    """
    movies = read_movies(require_table(folder, "movies"))
    positions, skipped = movies.positions(), Counter()
    rated, listed = find_table(folder, "ratings"), find_table(folder, "lists")
    ratings = rated and read_ratings(rated, positions, skipped)
    lists = listed and _read_lists(listed, positions, skipped)
    return replace(movies, ratings=ratings, lists=lists, skipped=dict(skipped))


def read_movies(path: Path) -> Movies:
    """Read a table of movies.

    Raises:
      FileNotFoundError: the table does not exist.
      ValueError: it cannot be read, or repeats an id; names the file and line.
    """
    rows = list(iterate_unique(read_rows(path, ["id", "title"]), "id"))
    return Movies(
        tuple(movie for movie, _ in rows),
        tuple(format_title(row.text("title") or movie, row.text("year")) for movie, row in rows),
        tuple(parse_genres(row.cells.get("genres"), row.where) for _, row in rows),
        tuple(row.text("synopsis") for _, row in rows),
    )


def read_ratings(
    path: Path,
    places: Mapping[str, int],
    skipped: Counter,
    columns: tuple[str, str, str] = ("user", "movie", "rating"),
    limits: tuple[float, float] = RATINGS,
) -> Ratings:
    """Read a table of ratings; those of unknown movies are left out and counted.

    Args:
      path: table.
      places: numbers of the movies, by their id in the table.
      skipped: counts by reason, which are increased.
      columns: columns of user, movie and rating; without the last one all movies are watched and
        not rated.
      limits: range of ratings.

    Raises:
      ValueError: the table cannot be read, or a rating is out of range; names the file and line.
    """
    user, movie, rating = columns
    users: dict[str, int] = {}
    found: list[tuple[int, int, float]] = []
    for row in read_rows(path, [user, movie]):
        place = places.get(row.require(movie))
        value = row.number(rating, limits[0], limits[1])
        if place is None:
            skipped["ratings of movies that are not in the table"] += 1
            continue
        number = users.setdefault(row.require(user), len(users))
        found.append((number, place, np.nan if value is None else value))
    return Ratings(
        np.array([entry[0] for entry in found], np.int32),
        np.array([entry[1] for entry in found], np.int32),
        np.array([entry[2] for entry in found], np.float32),
    )


def read_pairs(path: str | Path) -> list[tuple[str, str, float]]:
    """Read a table of pairs: two ids and a score, 1 if missing.

    Raises:
      FileNotFoundError: the table does not exist.
      ValueError: it cannot be read, or a score is negative; names the file and line.
    """
    pairs = []
    for row in read_rows(Path(path), ["movie", "similar"]):
        score = row.number("score", 0, float(np.finfo(np.float32).max))
        pair = row.require("movie"), row.require("similar")
        pairs.append((*pair, 1.0 if score is None else score))
    return pairs


def iterate_unique(rows: Iterator[Row], column: str) -> Iterator[tuple[str, Row]]:
    """Yield rows with their ids.

    Raises:
      ValueError: an id is repeated or missing; names the file and line.
    """
    seen: set[str] = set()
    for row in rows:
        key = row.require(column)
        if key in seen:
            raise ValueError(f"{row.where}: duplicate {column} {key!r}")
        seen.add(key)
        yield key, row


def parse_genres(value: object, where: str) -> frozenset[str]:
    """Parse the genres of a cell: a list, or text separated by |.

    Raises:
      ValueError: they are separated by something else; names the file and line.
    """
    if value is None:
        return frozenset()
    found = value if isinstance(value, list | tuple) else str(value).split("|")
    words = frozenset(str(word).strip() for word in found if word is not None) - {""}
    wrong = sorted(word for word in words if "," in word or ";" in word)
    if wrong:
        raise ValueError(f"{where}: separate genres by |, not as in {wrong[0]!r}")
    return words


def format_title(title: str, year: str) -> str:
    """Append the year to a title; some tables write years as 1999.0."""
    return f"{title} ({year.removesuffix('.0')})" if year else title


def _read_lists(path: Path, positions: Mapping[str, int], skipped: Counter) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for row in read_rows(path, ["movie", "similar"]):
        movie, similar = row.require("movie"), row.require("similar")
        if movie in positions and similar in positions:
            lists.setdefault(movie, []).append(similar)
        else:
            skipped["entries of lists that are not in the table"] += 1
    return lists


def write_movies(movies: Movies, folder: str | Path) -> Path:
    """Write movies.parquet, and ratings.parquet and lists.parquet if there are any.

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
    write_parquet(folder / "movies.parquet", pa.table(columns, schema=schema), compression="snappy")
    if movies.ratings is not None:
        ids = pa.array(np.array(movies.ids, object)[movies.ratings.movie], pa.string())
        value = pa.array(movies.ratings.value, from_pandas=True)  # NaN as null: not rated
        ratings = pa.table(dict(user=movies.ratings.user, movie=ids, rating=value))
        write_parquet(folder / "ratings.parquet", ratings, compression="snappy")
    if movies.lists is not None:
        pairs = [(movie, other) for movie, found in movies.lists.items() for other in found]
        columns = dict(movie=[pair[0] for pair in pairs], similar=[pair[1] for pair in pairs])
        schema = pa.schema([("movie", pa.string()), ("similar", pa.string())])
        write_parquet(
            folder / "lists.parquet", pa.table(columns, schema=schema), compression="snappy"
        )
    return folder
