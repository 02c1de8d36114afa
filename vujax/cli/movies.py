"""`vujax movies similar TABLES_OR_CATALOG --channel genre ... TITLE`: which movies are like it.

TABLES_OR_CATALOG is a catalogue with metadata, or any of the tables of vujax.data.movies.tables.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vujax.utils.validation import name_and_value

if TYPE_CHECKING:  # the help needs none of it
    from vujax.data.movies.records import Movies
    from vujax.data.movies.similarity import Similarity

NAMED = 8  # movies that a message names
LEAST_WIDTH = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    similar = actions.add_parser("similar", help="the movies most similar to one, and why")
    add = similar.add_argument
    add("movies", type=Path, metavar="TABLES_OR_CATALOG", help="folder, or a table of movies")
    add("title", metavar="TITLE", help="title, a part of it, or id")
    add(
        "--channel",
        action="append",
        required=True,
        type=_channel,
        metavar="NAME[:OPTION=VALUE,...]",
        help="genre, synopsis, cowatch, lists or pairs, such as cowatch:measure=pmi,weight=2; may "
        "be given several times",
    )
    add("--ratings", type=Path, metavar="TABLES", help="whose ratings to join by id (MovieLens)")
    add("--hold-out", type=Path, metavar="FILE", help="leave out the movies whose IMDb ids it has")
    add("-k", type=int, default=10, metavar="N", help="how many (10)")


def run(arguments: argparse.Namespace) -> int:
    """Prints a table of neighbours, and what could not be compared."""
    from vujax.data.movies.similarity import build_similarity

    if arguments.k < 1:
        raise ValueError(f"-k must be 1 or more, not {arguments.k}")
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
    """The place of the one movie of this id or title, else of the one whose title has it.

    Raises:
      KeyError: there is none, or there are several; names some.
    """
    if title in movies.ids:
        return movies.ids.index(title)
    wanted = title.casefold()
    names = [name.casefold() for name in movies.titles]
    tests = (
        lambda name: wanted in (name, name.rpartition(" (")[0]),  # with its year or without
        lambda name: wanted in name,
    )
    for test in tests:
        found = [place for place, name in enumerate(names) if test(name)]
        if len(found) == 1:
            return found[0]
        if found:
            some = [f"{movies.titles[place]} [{movies.ids[place]}]" for place in found[:NAMED]]
            more = ", ..." if len(found) > NAMED else ""
            raise KeyError(f"{title!r} is the title of several movies: {', '.join(some)}{more}")
    raise KeyError(f"no movie has the title or id {title!r}")


def _movies(arguments: argparse.Namespace) -> "Movies":
    from vujax.catalog import schema
    from vujax.data.datasets.catalog import open_catalog_movies
    from vujax.data.movies.holdout import read_withheld_movies
    from vujax.data.registry import join_ratings, open_movies

    is_catalog = (arguments.movies / schema.CATALOG_FILE).is_file()
    movies = (open_catalog_movies if is_catalog else open_movies)(arguments.movies)
    if arguments.ratings is not None:
        movies = join_ratings(movies, arguments.ratings)
    if arguments.hold_out is not None:
        movies = movies.exclude(read_withheld_movies(arguments.hold_out))
    return movies


def _channel(text: str) -> tuple[str, dict[str, Any]]:
    """`('cowatch', {'weight': 2})` of 'cowatch:weight=2'."""
    name, _, options = text.partition(":")
    return name, dict(name_and_value(option) for option in options.split(",") if option)


def _table(similarity: "Similarity", place: int, k: int) -> list[str]:
    from vujax.data.movies.similarity import hash_ids, top_k

    movies, row = similarity.movies, slice(place, place + 1)
    marks = hash_ids(movies.ids)
    index, score = top_k(similarity.scores(row), k, marks[row], marks)
    found = [other for other in index[0].tolist() if other >= 0]
    if not found:
        return ["similar to none: the channels know nothing of it, or nothing it has in common"]
    parts = {name: channel.scores(row)[0] for name, channel in similarity.channels.items()}
    lines = [["", "score", *parts, "title", "genres", "why"]]
    for rank, other in enumerate(found):
        whys = {
            name: channel.explain(place, other) for name, channel in similarity.channels.items()
        }
        told = "; ".join(why for name, why in whys.items() if why and name != "genre")
        scores = [f"{part[other]:.3f}" for part in parts.values()]
        name, genres = movies.titles[other], _genres(movies, other)
        lines.append([str(rank + 1), f"{score[0, rank]:.3f}", *scores, name, genres, told])
    return _aligned(lines)


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns in line; lines are cut where the terminal ends."""
    widths = [min(max(map(len, column)), 44) for column in zip(*lines, strict=True)]
    most = max(shutil.get_terminal_size((160, 0)).columns, LEAST_WIDTH)
    pairs = (zip(line, widths, strict=True) for line in lines)
    return ["  ".join(f"{_short(c, w):<{w}}" for c, w in line).rstrip()[:most] for line in pairs]


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
            lines.append(f"{name}: {unknown} of {total} movies are not known to it")
        if channel.skipped:
            lines.append(f"{name}: {channel.skipped} entries name movies that are not there")
    left = similarity.movies.skipped.items()
    return [*lines, *(f"left out: {count} {reason}" for reason, count in left)]
