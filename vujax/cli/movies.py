"""`vujax movies similar` and `vujax movies worth`: movies by their metadata.

    vujax movies similar TABLES_OR_CATALOG --channel genre TITLE
    vujax movies worth CATALOG_OR_TABLES --out worth.html

TABLES_OR_CATALOG is a catalog with metadata, or any of the tables of vujax.data.movies.tables.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vujax.cli import movies_worth
from vujax.utils.formatting import align_columns, measure_columns
from vujax.utils.validation import name_and_value

if TYPE_CHECKING:  # the help needs none of it
    from vujax.data.movies.records import Movies
    from vujax.data.movies.similarity import Similarity

MAX_NAMED = 8  # movies in a message
MIN_WIDTH = 80
MAX_COLUMN = 44


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    similar = actions.add_parser(
        "similar", help="find the movies most similar to one, with reasons"
    )
    similar.add_argument(
        "movies", type=Path, metavar="TABLES_OR_CATALOG", help="catalog folder, or tables of movies"
    )
    _add_similarity(similar, "number of results", required=True)
    similar.add_argument("title", metavar="TITLE", help="title or part of it, or id of a movie")
    worth = actions.add_parser(
        "worth", help="measure what metadata can teach an encoder of scenes, before any training"
    )
    worth.add_argument(
        "movies",
        type=Path,
        metavar="CATALOG_OR_TABLES",
        help="catalog with embeddings, or tables of movies",
    )
    _add_similarity(worth, "similar movies of each movie", required=False)
    movies_worth.add_arguments(worth)


def _add_similarity(parser: argparse.ArgumentParser, number: str, *, required: bool) -> None:
    """Declare the channels of similarity, and the number of similar movies."""
    default = "" if required else " (default: those with data)"
    add = parser.add_argument
    add(
        "--channel",
        action="append",
        required=required,
        type=_channel,
        metavar="NAME[:OPTION=VALUE,...]",
        help="similarity channel: genre, synopsis, cowatch, lists or pairs, with options such as "
        f"cowatch:measure=pmi,weight=2; repeatable{default}",
    )
    add(
        "--ratings",
        type=Path,
        metavar="TABLES",
        help="tables with ratings to join by id (MovieLens)",
    )
    add("--hold-out", type=Path, metavar="FILE", help="file with IMDb ids of movies to leave out")
    add("-k", type=int, default=10, metavar="N", help=f"{number} (default: 10)")


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    if arguments.k < 1:
        raise ValueError(f"-k must be 1 or more, got {arguments.k}")
    return movies_worth.run(arguments) if arguments.action == "worth" else run_similar(arguments)


def run_similar(arguments: argparse.Namespace) -> int:
    """Print a table of similar movies, and what could not be compared."""
    from vujax.data.movies.similarity import build_similarity

    movies = _movies(arguments)
    place = find(movies, arguments.title)
    similarity = build_similarity(movies, dict(arguments.channel))
    print(f"{movies.titles[place]}  {_genres(movies, place)}  [{movies.ids[place]}]")
    for line in _table(similarity, place, arguments.k):
        print(line)
    for line in _gaps(similarity):
        print(line)
    return 0


def find(movies: "Movies", title: str) -> int:
    """Return the index of the movie with an id or title, or else with a title that contains it.

    Raises:
      KeyError: there is no such movie, or several.
    """
    if title in movies.ids:
        return movies.ids.index(title)
    wanted = title.casefold()
    names = [name.casefold() for name in movies.titles]
    tests = (
        lambda name: wanted in (name, name.rpartition(" (")[0]),  # with or without its year
        lambda name: wanted in name,
    )
    for test in tests:
        matches = [place for place, name in enumerate(names) if test(name)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            some = [
                f"{movies.titles[place]} [{movies.ids[place]}]" for place in matches[:MAX_NAMED]
            ]
            more = ", ..." if len(matches) > MAX_NAMED else ""
            raise KeyError(
                f"several movies match {title!r}; use one of the ids: {', '.join(some)}{more}"
            )
    raise KeyError(f"no movie has the title or id {title!r}")


def _movies(arguments: argparse.Namespace) -> "Movies":
    from vujax.data.datasets.catalog import open_catalog_movies
    from vujax.data.movies.holdout import read_withheld_movies
    from vujax.data.registry import join_ratings, open_movies

    is_catalog = movies_worth.is_catalog(arguments.movies)
    movies = (open_catalog_movies if is_catalog else open_movies)(arguments.movies)
    if arguments.ratings is not None:
        movies = join_ratings(movies, arguments.ratings)
    if arguments.hold_out is not None:
        movies = movies.exclude(read_withheld_movies(arguments.hold_out))
    return movies


def _channel(text: str) -> tuple[str, dict[str, Any]]:
    """Parse 'cowatch:weight=2' as `('cowatch', {'weight': 2})`."""
    name, _, options = text.partition(":")
    return name, dict(name_and_value(option) for option in options.split(",") if option)


def _table(similarity: "Similarity", place: int, k: int) -> list[str]:
    from vujax.data.movies.similarity import hash_ids, top_k

    movies, row = similarity.movies, slice(place, place + 1)
    marks = hash_ids(movies.ids)
    index, score = top_k(similarity.scores(row), k, marks[row], marks)
    others = [other for other in index[0].tolist() if other >= 0]
    if not others:
        return ["no similar movies: the channels do not know this one, or it shares nothing"]
    parts = {name: channel.scores(row)[0] for name, channel in similarity.channels.items()}
    lines = [["", "score", *parts, "title", "genres", "why"]]
    for rank, other in enumerate(others):
        whys = {
            name: channel.explain(place, other) for name, channel in similarity.channels.items()
        }
        reasons = "; ".join(why for name, why in whys.items() if why and name != "genre")
        scores = [f"{part[other]:.3f}" for part in parts.values()]
        name, genres = movies.titles[other], _genres(movies, other)
        lines.append([str(rank + 1), f"{score[0, rank]:.3f}", *scores, name, genres, reasons])
    return _aligned(lines)


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Align columns, and cut lines at the width of the terminal."""
    widths = [min(width, MAX_COLUMN) for width in measure_columns(lines)]
    limit = max(shutil.get_terminal_size((160, 0)).columns, MIN_WIDTH)
    pairs = (zip(line, widths, strict=True) for line in lines)
    return align_columns([[_short(c, w) for c, w in line] for line in pairs], widths, limit=limit)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _genres(movies: "Movies", place: int) -> str:
    return ", ".join(sorted(movies.genres[place])) or "-"


def _gaps(similarity: "Similarity") -> list[str]:
    total = len(similarity.movies)
    lines = []
    for name, channel in similarity.channels.items():
        unknown = int((~channel.known).sum())
        if unknown:
            lines.append(f"{name}: {unknown} of {total} movies are unknown")
        if channel.skipped:
            lines.append(f"{name}: {channel.skipped} entries refer to unknown movies")
    left = similarity.movies.skipped.items()
    return [*lines, *(f"left out: {count} {reason}" for reason, count in left)]
