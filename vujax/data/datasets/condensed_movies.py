"""Condensed Movies (Bain et al. 2020, arXiv:2005.04208): clips of movies, and their metadata.

    ROOT/movies.csv             imdbid,title,year
    ROOT/movie_info.csv         imdbid,genre,country        genre as a Python list
    ROOT/clips.csv              videoid,...,imdbid
    ROOT/descriptions.csv       imdbid,videoid,description       one sentence per clip

each also as .csv.gz. The synopsis of a movie is the concatenation of the descriptions of its clips,
in the order of the table.

THE DESCRIPTION OF A CLIP IS NEVER AN INPUT for that clip: labels of LVU were mined from these
descriptions, so that words alone give 96-100 % of them. Name as `scenes` all clips that a model is
trained or evaluated on: their descriptions are not read, synopses come from OTHER clips, and a
movie without other clips has no synopsis.
"""

import ast
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from vujax.data.datasets.movielens import imdb_id
from vujax.data.movies.records import Movies
from vujax.data.movies.tables import format_title, iterate_unique
from vujax.data.tables import Row, read_rows, require_table


@dataclass(frozen=True)
class Clip:
    """YouTube id of a clip, and IMDb id of its movie."""

    clip: str
    movie: str


def read_clips(root: str | Path) -> tuple[Clip, ...]:
    """Read the clips, in the order of the table.

    Raises:
      FileNotFoundError: the table does not exist.
      ValueError: it cannot be read, or repeats a clip; names the file and line.
    """
    rows = read_rows(require_table(Path(root), "clips"), ["videoid", "imdbid"])
    return tuple(Clip(clip, _movie(row)) for clip, row in iterate_unique(rows, "videoid"))


def open_condensed_movies(root: str | Path, *, scenes: Collection[str] = ()) -> Movies:
    """Open all movies, with genres and synopses where available.

    Args:
      root: folder of the tables.
      scenes: clips whose descriptions are not read.

    Raises:
      FileNotFoundError: a table is missing.
      ValueError: a table cannot be read, or repeats an id; names the file and line.
    """
    root = Path(root)
    rows = read_rows(require_table(root, "movies"), ["imdbid", "title", "year"])
    titles = {
        _movie(row): format_title(row.text("title"), row.text("year"))
        for _, row in iterate_unique(rows, "imdbid")
    }
    info = read_rows(require_table(root, "movie_info"), ["imdbid", "genre"])
    genres = {_movie(row): _genres(row) for _, row in iterate_unique(info, "imdbid")}
    descriptions, skipped = _descriptions(root, frozenset(scenes), titles)
    return Movies(
        tuple(titles),
        tuple(titles.values()),
        tuple(genres.get(movie, frozenset()) for movie in titles),
        tuple(" ".join(descriptions.get(movie, ())) for movie in titles),
        skipped=skipped,
    )


def _movie(row: Row) -> str:
    return imdb_id(row.require("imdbid"), row.where)


def _genres(row: Row) -> frozenset[str]:
    text = row.text("genre")
    try:
        found = ast.literal_eval(text) if text else []
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        found = None
    if not isinstance(found, list) or not all(isinstance(genre, str) for genre in found):
        raise ValueError(f"{row.where}: the genre {text!r} is not a list like ['Drama', 'War']")
    return frozenset(found)


def read_descriptions(root: str | Path) -> dict[str, tuple[str, str]]:
    """Read movie and description of each clip that has one, in the order of the table.

    Never use the description of a clip to train or evaluate on that clip; see the module.

    Raises:
      FileNotFoundError: the table does not exist.
      ValueError: it cannot be read, or repeats a clip; names the file and line.
    """
    needed = ["imdbid", "videoid", "description"]
    rows = iterate_unique(read_rows(require_table(Path(root), "descriptions"), needed), "videoid")
    found = {clip: (_movie(row), row.text("description")) for clip, row in rows}
    return {clip: (movie, text) for clip, (movie, text) in found.items() if text}


def _descriptions(
    root: Path, scenes: frozenset[str], movies: Collection[str]
) -> tuple[dict[str, list[str]], dict[str, int]]:
    descriptions: dict[str, list[str]] = {}
    unknown = 0
    for clip, (movie, description) in read_descriptions(root).items():
        unknown += movie not in movies
        if clip not in scenes:
            descriptions.setdefault(movie, []).append(description)
    skipped = {"descriptions of movies that are not in the table": unknown} if unknown else {}
    return descriptions, skipped
