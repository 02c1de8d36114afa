"""Condensed Movies (Bain et al. 2020, arXiv:2005.04208): clips of movies and what is known of them.

    ROOT/movies.csv             imdbid,title,year
    ROOT/movie_info.csv         imdbid,genre,country        genre as a Python list
    ROOT/clips.csv              videoid,...,imdbid
    ROOT/descriptions.csv       imdbid,videoid,description       one sentence of each clip

each also as .csv.gz. A movie's synopsis is made of the descriptions of its clips, in the order of
the table.

A CLIP'S OWN DESCRIPTION IS NEVER AN INPUT for it: labels of LVU were found in these descriptions,
so that words alone give 96-100 % of them. Name as `scenes` all clips that a model is trained or
evaluated on: their descriptions are not read, synopses come from OTHER clips, and a movie that has
no others has no synopsis.
"""

import ast
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from vujax.data.datasets.movielens import imdb_id
from vujax.data.movies.records import Movies
from vujax.data.movies.tables import dated, unique
from vujax.data.tables import Row, need_table, read_rows


@dataclass(frozen=True)
class Clip:
    """A clip: its id (of YouTube) and its movie's."""

    clip: str
    movie: str


def read_clips(root: str | Path) -> tuple[Clip, ...]:
    """The clips, in the order of the table.

    Raises:
      FileNotFoundError: there is no table.
      ValueError: it cannot be read, or has a clip twice; names the file and line.
    """
    rows = read_rows(need_table(Path(root), "clips"), ["videoid", "imdbid"])
    return tuple(Clip(clip, _movie(row)) for clip, row in unique(rows, "videoid"))


def open_condensed_movies(root: str | Path, *, scenes: Collection[str] = ()) -> Movies:
    """All its movies, with genres and synopses where there are any.

    Args:
      root: folder of the tables.
      scenes: clips whose descriptions are not read.

    Raises:
      FileNotFoundError: a table is missing.
      ValueError: one cannot be read, or has an id twice; names the file and line.
    """
    root = Path(root)
    rows = read_rows(need_table(root, "movies"), ["imdbid", "title", "year"])
    titles = {
        _movie(row): dated(row.text("title"), row.text("year")) for _, row in unique(rows, "imdbid")
    }
    info = read_rows(need_table(root, "movie_info"), ["imdbid", "genre"])
    genres = {_movie(row): _genres(row) for _, row in unique(info, "imdbid")}
    told, skipped = _descriptions(root, frozenset(scenes), titles)
    return Movies(
        tuple(titles),
        tuple(titles.values()),
        tuple(genres.get(movie, frozenset()) for movie in titles),
        tuple(" ".join(told.get(movie, ())) for movie in titles),
        skipped=skipped,
    )


def _movie(row: Row) -> str:
    return imdb_id(row.needed("imdbid"), row.where)


def _genres(row: Row) -> frozenset[str]:
    text = row.text("genre")
    try:
        found = ast.literal_eval(text) if text else []
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        found = None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError(f"{row.where}: the genre {text!r} is no list like ['Drama', 'War']")
    return frozenset(found)


def read_descriptions(root: str | Path) -> dict[str, tuple[str, str]]:
    """The movie and the description of each clip that has one, in the order of the table.

    Beware of what is said above: a clip's own description is not for training or evaluation on it.

    Raises:
      FileNotFoundError: there is no table.
      ValueError: it cannot be read, or has a clip twice; names the file and line.
    """
    needed = ["imdbid", "videoid", "description"]
    rows = unique(read_rows(need_table(Path(root), "descriptions"), needed), "videoid")
    found = {clip: (_movie(row), row.text("description")) for clip, row in rows}
    return {clip: told for clip, told in found.items() if told[1]}


def _descriptions(
    root: Path, scenes: frozenset[str], movies: Collection[str]
) -> tuple[dict[str, list[str]], dict[str, int]]:
    told: dict[str, list[str]] = {}
    unknown = 0
    for clip, (movie, description) in read_descriptions(root).items():
        unknown += movie not in movies
        if clip not in scenes:
            told.setdefault(movie, []).append(description)
    return told, {"descriptions of movies that are not in the table": unknown} if unknown else {}
