"""MovieLens (Harper and Konstan, "The MovieLens Datasets: History and Context", 2015).

    ROOT/movies.csv     movieId,title,genres         genres as `Comedy|Romance`
    ROOT/links.csv      movieId,imdbId,tmdbId        imdbId without its `tt`
    ROOT/ratings.csv    userId,movieId,rating,timestamp         0.5 to 5

as in latest-small, 20M, 25M, 32M and latest; each also as .csv.gz. The ids of movies are IMDb's, so
that they join with other tables.
"""

import re
from collections import Counter
from pathlib import Path

from vujax.data.movies.records import Movies
from vujax.data.movies.tables import iterate_unique, parse_genres, read_ratings
from vujax.data.tables import read_rows, require_table

NO_GENRES = "(no genres listed)"
RATINGS = (0.5, 5.0)
ARTICLE = re.compile(r"(.+), (The|An?)( \(\d{4}\))?")


def open_movielens(root: str | Path) -> Movies:
    """Open the movies that have an IMDb id, with genres and ratings, without synopses.

    Raises:
      FileNotFoundError: a table is missing.
      ValueError: a table cannot be read or repeats a movie, or a rating is out of range; names the
        file and line.
    """
    root, skipped = Path(root), Counter()
    rows = read_rows(require_table(root, "movies"), ["movieId", "title", "genres"])
    titles = dict(iterate_unique(rows, "movieId"))
    linked = _links(root, skipped)
    kept = {number: row for number, row in titles.items() if number in linked}
    if len(kept) < len(titles):
        skipped["movies without an IMDb id"] += len(titles) - len(kept)
    places = {number: place for place, number in enumerate(kept)}
    rating = ("userId", "movieId", "rating")
    ratings = read_ratings(require_table(root, "ratings"), places, skipped, rating, RATINGS)
    genres = (row.cells["genres"] for row in kept.values())
    return Movies(
        tuple(linked[number] for number in kept),
        tuple(_title(row.text("title")) for row in kept.values()),
        tuple(
            frozenset() if cell == NO_GENRES else parse_genres(cell, row.where)
            for cell, row in zip(genres, kept.values(), strict=True)
        ),
        ("",) * len(kept),
        ratings,
        skipped=dict(skipped),
    )


def _title(title: str) -> str:
    """Move the article to the front: 'Matrix, The (1999)' to 'The Matrix (1999)'."""
    found = ARTICLE.fullmatch(title)
    return f"{found[2]} {found[1]}{found[3] or ''}" if found else title


def _links(root: Path, skipped: Counter) -> dict[str, str]:
    """Return IMDb ids by MovieLens id; the first of two movies with one IMDb id counts."""
    linked: dict[str, str] = {}
    taken: set[str] = set()
    for number, row in iterate_unique(
        read_rows(require_table(root, "links"), ["movieId", "imdbId"]), "movieId"
    ):
        if not row.text("imdbId"):
            continue
        movie = imdb_id(row.text("imdbId"), row.where)
        if movie in taken:
            skipped["movies whose IMDb id an earlier one has"] += 1
            continue
        taken.add(movie)
        linked[number] = movie
    return linked


def imdb_id(text: str, where: str) -> str:
    """Return an IMDb id, 'tt' and at least 7 digits, from such an id or its digits.

    Raises:
      ValueError: the text is neither.
    """
    digits = text.removeprefix("tt")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{where}: {text!r} is not an IMDb id such as tt0114709")
    return f"tt{int(digits):07d}"
