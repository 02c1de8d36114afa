r"""Tables of movies: the user's own, those of public sets, and the cinema's.

    open_movies("mine/")         # movies.csv or .parquet; if there: ratings, lists
    open_movies("films/")        # set.json of the cinema
    open_movies("ml-latest/")    # MovieLens: movies.csv, links.csv, ratings.csv
    open_movies("condensed/")    # Condensed Movies: movies.csv, movie_info.csv, clips.csv, ...

The user's own tables (CSV, CSV in gzip, or Parquet; UTF-8; `\N` and empty cells are not known):

    movies     id, title; if known: year, genres (`Comedy|Drama`, or lists in Parquet), synopsis
    ratings    user, movie; if known: rating, from 0 to 10
    lists      movie, similar: a movie's more-like-this list, best first
    pairs      movie, similar; score: of the channel pairs, a file of its own

An id twice among the movies, a rating out of range, a cell too many, text that is no UTF-8: a
ValueError with file and line. Ratings and lists of ids that are not among the movies are left out
and counted.

Movies as tables that `vujax.data.registry.open_movies` reads.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from vujax.data.movies.records import Movies, Ratings
from vujax.data.tables import Row, find_table, read_rows, require_table
from vujax.utils.io import write_parquet

RATINGS = (0.0, 10.0)


def read_movie_folder(folder: Path) -> Movies:
    """The user's own tables.

    Raises:
      FileNotFoundError: there is no table of movies.
      ValueError: a table cannot be read; names the file and line.
    """
    movies = read_movies(require_table(folder, "movies"))
    places, skipped = movies.positions(), Counter()
    rated, listed = find_table(folder, "ratings"), find_table(folder, "lists")
    ratings = rated and read_ratings(rated, places, skipped)
    lists = listed and _lists(listed, places, skipped)
    columns = (movies.ids, movies.titles, movies.genres, movies.synopses)
    return Movies(*columns, ratings, lists, dict(skipped))


def read_movies(path: Path) -> Movies:
    """A table of movies alone.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it cannot be read, or has an id twice; names the file and line.
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
    """A table of ratings; those of movies without a place are left out and counted.

    Args:
      path: of the table.
      places: of the movies, by what stands in the table.
      skipped: counts by reason, added to.
      columns: of user, movie and rating; without the last one all are watched and not rated.
      limits: of ratings.

    Raises:
      ValueError: it cannot be read, or a rating is out of range; names the file and line.
    """
    user, movie, rating = columns
    users: dict[str, int] = {}
    found: list[tuple[int, int, float]] = []
    for row in read_rows(path, [user, movie]):
        place = places.get(row.require(movie))
        value = row.number(rating, *limits)
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
    """A table of pairs: two ids and a score, 1 where there is none.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it cannot be read, or a score is negative; names the file and line.
    """
    pairs = []
    for row in read_rows(Path(path), ["movie", "similar"]):
        score = row.number("score", 0, float(np.finfo(np.float32).max))
        pair = row.require("movie"), row.require("similar")
        pairs.append((*pair, 1.0 if score is None else score))
    return pairs


def iterate_unique(rows: Iterator[Row], column: str) -> Iterator[tuple[str, Row]]:
    """Rows with their ids.

    Raises:
      ValueError: an id is there twice, or missing; names the file and line.
    """
    seen: set[str] = set()
    for row in rows:
        one = row.require(column)
        if one in seen:
            raise ValueError(f"{row.where}: the {column} {one!r} is there twice")
        seen.add(one)
        yield one, row


def parse_genres(value: object, where: str) -> frozenset[str]:
    """Genres of a cell: a list, or text separated by |.

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
    """A title with its year; years of some tables are written 1999.0."""
    return f"{title} ({year.removesuffix('.0')})" if year else title


def _lists(path: Path, places: Mapping[str, int], skipped: Counter) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for row in read_rows(path, ["movie", "similar"]):
        movie, similar = row.require("movie"), row.require("similar")
        if movie in places and similar in places:
            lists.setdefault(movie, []).append(similar)
        else:
            skipped["entries of lists that are not in the table"] += 1
    return lists


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
