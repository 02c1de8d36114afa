"""`vujax movies worth CATALOG_OR_TABLES`: what movie metadata can teach, before any training.

Scenes are those of a catalog, with the shot embeddings of an encoder, or MovieCLIP's lists of shot
labels, with tables of their movies.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vujax.utils.formatting import align_columns

if TYPE_CHECKING:  # the help needs none of it
    from vujax.data.scenes import Scenes

MAX_SHOTS = 64  # of a scene


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that `vujax movies similar` does not share."""
    add = parser.add_argument
    add(
        "--encoder",
        default="lite",
        metavar="NAME",
        help="encoder of the catalog's shot embeddings (default: lite)",
    )
    add(
        "--by",
        choices=("scenes", "truth", "windows"),
        default="scenes",
        help="scenes of the catalog: detected, labeled, or windows of shots (default: scenes)",
    )
    add("--scenes", metavar="PATTERN", help="MovieCLIP lists of shots, instead of a catalog")
    add("--clips", type=Path, metavar="FILE", help="table of the movies of the lists' clips")
    add("--out", type=Path, metavar="FILE", help="output file: a page with one picture")


def run(arguments: argparse.Namespace) -> int:
    """Print a sentence and two tables, and write the page if --out is given."""
    from vujax.data.movies.holdout import read_withheld_movies
    from vujax.data.registry import open_tables
    from vujax.evals.guide_worth import find_channels, measure_worth
    from vujax.evals.guide_worth_page import HEAD, build_growth, build_rows, describe, write_page

    held_out = read_withheld_movies(arguments.hold_out) if arguments.hold_out else frozenset()
    tables = select_tables(arguments.movies, arguments.ratings)
    scenes = open_scenes(arguments, held_out)
    channels = dict(arguments.channel or ())
    if not channels:
        known = find_channels(open_tables(**tables).select(scenes.movies))
        channels = {name: {} for name in known}
    worth = measure_worth(scenes, tables, channels, k=arguments.k, held_out=held_out)
    print(f"{worth.scenes:,} scenes of {worth.movies:,} movies. {describe(worth)}\n")
    for rows in ([list(HEAD), *build_rows(worth)], build_growth(worth)):
        print("\n".join(align_columns(rows)), end="\n\n")
    if arguments.out:
        print(write_page(worth, arguments.out, source=arguments.movies.resolve().name))
    return 0


def is_catalog(path: Path) -> bool:
    """Return whether a path is a catalog."""
    from vujax.catalog import schema

    return (path / schema.CATALOG_FILE).is_file()


def select_tables(path: Path, ratings: Path | None) -> dict[str, Any]:
    """Return the options of `vujax.data.registry.open_tables` for a catalog or tables.

    Raises:
      FileNotFoundError: the path does not exist.
    """
    from vujax.data.tables import find_table

    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: give a catalog, or tables of movies")
    joined = {"ratings": str(ratings)} if ratings else {}
    if is_catalog(path):
        return {"kind": "catalog", "path": str(path)} | joined
    if path.is_dir() and find_table(path, "movie_info"):
        return {"kind": "condensed_movies", "root": str(path)} | joined
    return {"kind": "tables", "path": str(path)} | joined


def open_scenes(arguments: argparse.Namespace, held_out: frozenset[str]) -> "Scenes":
    """Open the scenes of the catalog or of the lists.

    Raises:
      ValueError: there are none, or --scenes is missing or superfluous.
      FileNotFoundError: a file or the encoder's embeddings are missing.
    """
    from vujax.data.registry import open_scenes

    path, lists = arguments.movies, arguments.scenes
    if is_catalog(path):
        if lists:
            raise ValueError(f"{path} is a catalog and has scenes: leave out --scenes")
        options = dict(path=str(path), encoder=arguments.encoder, images=False, by=arguments.by)
        return open_scenes("catalog", without=held_out, max_shots=MAX_SHOTS, **options)
    if not lists or not arguments.clips:
        raise ValueError(
            f"{path} has movies and no scenes: give --scenes and --clips, or a catalog with "
            "embeddings"
        )
    options = dict(path=lists, clips=str(arguments.clips))
    return open_scenes("movieclip", without=held_out, max_shots=MAX_SHOTS, **options)
