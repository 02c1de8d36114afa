"""MovieLens (Harper and Konstan, "The MovieLens Datasets: History and Context", 2015).

    ROOT/movies.csv     movieId,title,genres         genres as `Comedy|Romance`
    ROOT/links.csv      movieId,imdbId,tmdbId        imdbId without its `tt`
    ROOT/ratings.csv    userId,movieId,rating,timestamp         0.5 to 5

as latest-small, 20M, 25M, 32M and latest have them; each also as .csv.gz. Movies go by their IMDb
ids, so that they join other tables.
"""

import re
from collections import Counter
from pathlib import Path

from vujax.data.movies.records import Movies
from vujax.data.movies.tables import genres_of, read_ratings, unique
from vujax.data.tables import need_table, read_rows

NO_GENRES = "(no genres listed)"
RATINGS = (0.5, 5.0)
ARTICLE = re.compile(r"(.+), (The|An?)( \(\d{4}\))?")


def open_movielens(root: str | Path) -> Movies:
    """The movies that have an IMDb id, with genres and ratings; without synopses.

    Raises:
      FileNotFoundError: a table is missing.
      ValueError: one cannot be read, has a movie twice, or a rating is out of range; names the file
        and line.
    """
    root, skipped = Path(root), Counter()
    rows = read_rows(need_table(root, "movies"), ["movieId", "title", "genres"])
    titles = dict(unique(rows, "movieId"))
    linked = _links(root, skipped)
    kept = {number: row for number, row in titles.items() if number in linked}
    if len(kept) < len(titles):
        skipped["movies without an IMDb id"] += len(titles) - len(kept)
    places = {number: place for place, number in enumerate(kept)}
    rating = ("userId", "movieId", "rating")
    ratings = read_ratings(need_table(root, "ratings"), places, skipped, rating, RATINGS)
    genres = (row.cells["genres"] for row in kept.values())
    return Movies(
        tuple(linked[number] for number in kept),
        tuple(_title(row.text("title")) for row in kept.values()),
        tuple(
            frozenset() if cell == NO_GENRES else genres_of(cell, row.where)
            for cell, row in zip(genres, kept.values(), strict=True)
        ),
        ("",) * len(kept),
        ratings,
        skipped=dict(skipped),
    )


def _title(title: str) -> str:
    """As people write it: 'The Matrix (1999)' of 'Matrix, The (1999)'."""
    found = ARTICLE.fullmatch(title)
    return f"{found[2]} {found[1]}{found[3] or ''}" if found else title


def _links(root: Path, skipped: Counter) -> dict[str, str]:
    """IMDb ids by MovieLens's; of two numbers for one IMDb id the first counts."""
    linked: dict[str, str] = {}
    taken: set[str] = set()
    for number, row in unique(
        read_rows(need_table(root, "links"), ["movieId", "imdbId"]), "movieId"
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
    """'tt' and at least 7 digits, of such an id or of its digits alone.

    Raises:
      ValueError: it is neither.
    """
    digits = text.removeprefix("tt")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{where}: {text!r} is no IMDb id: those are like tt0114709")
    return f"tt{int(digits):07d}"
