"""`vujax similar CATALOG FILM/s0012`: the shots, or scenes, of all films that are most like one.

Exact, by the cosine of the vectors that `vujax embed` made.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vujax.cli.embed import ENCODER

if TYPE_CHECKING:  # the help needs none of it
    from vujax.search.similar import Similar

LEVELS = ("shot", "scene")
MOST_REASONS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("catalog", type=Path, metavar="CATALOG", help="folder of the catalogue")
    add(
        "query",
        metavar="SHOT_OR_SCENE",
        help="FILM/s0012, FILM/c003, or what is at FILM@00:12:30 (also MM:SS, HH:MM:SS:FF)",
    )
    add("--level", choices=LEVELS, help="for FILM@TIME: the shot there, or its scene (shot)")
    add(
        "--encoder",
        metavar="NAME",
        help=f"whose vectors to compare: {ENCODER}; or a name in the catalogue (the only "
        "one there)",
    )
    add("--top", type=int, default=20, metavar="N", help="how many (20)")
    add(
        "--per-film",
        type=int,
        metavar="N",
        help="at most so many of one film (5; in a catalogue of one film, as many as --top)",
    )
    add("--other-films", action="store_true", help="leave out the film of the shot or scene")
    add("--out", type=Path, metavar="FILE", help="also write a page of filmstrips")


def run(arguments: argparse.Namespace) -> int:
    """Prints a table, and writes the page if one is wanted."""
    from vujax.catalog import Catalog
    from vujax.search.similar import similar

    catalog = Catalog(arguments.catalog)
    found = similar(
        catalog,
        arguments.query,
        encoder=arguments.encoder,
        level=arguments.level,
        top=arguments.top,
        per_film=arguments.per_film,
        other_films=arguments.other_films,
    )
    print("\n".join(table(found)))
    for film, reason in found.left_out[:MOST_REASONS]:
        print(f"left out: {film}: {reason}", file=sys.stderr)
    if more := max(0, len(found.left_out) - MOST_REASONS):
        print(f"... and {more} more films", file=sys.stderr)
    if arguments.out:
        from vujax.search.similar_page import write_page

        print(write_page(catalog, found, arguments.out))
    return 0


def table(found: "Similar") -> list[str]:
    """The query, and what is like it, a line each."""
    films = f"{found.films:,} film{'s' * (found.films != 1)}"
    pieces = (found.query, *found.found)
    width = max(len(piece.id) for piece in pieces)
    lines = [f"{'cosine':>6}  {'begin':<11}  {'end':<11}  {found.level:<{width}}  film"]
    for piece in pieces:
        cosine = "" if piece is found.query else f"{piece.cosine:.3f}"
        begin, end = piece.timecodes
        lines.append(f"{cosine:>6}  {begin:<11}  {end:<11}  {piece.id:<{width}}  {piece.title}")
    seen = f"{found.compared:,} {found.level}{'s' * (found.compared != 1)} of {films}"
    return [*lines, f"compared with {seen}, by {found.encoder}"]
