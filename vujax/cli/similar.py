"""`vujax similar CATALOG FILM/s0012`: the shots or scenes of all films that are most similar.

Similarity is the cosine of the embeddings of `vujax embed`.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vujax.cli.embed import ENCODER
from vujax.search.backends import BACKENDS

if TYPE_CHECKING:  # not needed for --help
    from vujax.search.similar import SimilarResult

LEVELS = ("shot", "scene")
MAX_REASONS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("catalog", type=Path, metavar="CATALOG", help="catalog folder")
    add(
        "query",
        metavar="SHOT_OR_SCENE",
        help="FILM/s0012, FILM/c003, or FILM@00:12:30 for a time (also MM:SS, HH:MM:SS:FF)",
    )
    add("--level", choices=LEVELS, help="item at FILM@TIME (default: shot)")
    add(
        "--encoder",
        metavar="NAME",
        help=f"encoder of the embeddings: {ENCODER}; or a name in the catalog (default: the only "
        "one)",
    )
    add("--top", type=int, default=20, metavar="N", help="maximum number of results (default: 20)")
    add(
        "--per-film",
        type=int,
        metavar="N",
        help="maximum number of results per film (default: 5; no limit in a catalog of one film)",
    )
    add("--other-films", action="store_true", help="leave out the film of the query")
    add(
        "--backend",
        choices=BACKENDS.names(),
        metavar="NAME",
        help=f"search backend, which needs an index: {', '.join(BACKENDS)} (default: exact, "
        "without an index)",
    )
    add("--out", type=Path, metavar="FILE", help="output file: a page with filmstrips")


def run(arguments: argparse.Namespace) -> int:
    """Print the results as a table, and write the page if --out is given."""
    from vujax.catalog import Catalog
    from vujax.search.similar import find_similar

    catalog = Catalog(arguments.catalog)
    result = find_similar(
        catalog,
        arguments.query,
        encoder=arguments.encoder,
        level=arguments.level,
        top=arguments.top,
        per_film=arguments.per_film,
        other_films=arguments.other_films,
        backend=arguments.backend,
    )
    print("\n".join(table(result)))
    for film, reason in result.left_out[:MAX_REASONS]:
        print(f"left out: {film}: {reason}", file=sys.stderr)
    if more := max(0, len(result.left_out) - MAX_REASONS):
        print(f"... and {more} more films", file=sys.stderr)
    if arguments.out:
        from vujax.search.similar_page import write_page

        print(write_page(catalog, result, arguments.out))
    return 0


def table(result: "SimilarResult") -> list[str]:
    """Return the query and the similar items, one line each."""
    films = f"{result.films:,} film{'s' * (result.films != 1)}"
    items = (result.query, *result.items)
    width = max(len(item.id) for item in items)
    lines = [f"{'cosine':>6}  {'start':<11}  {'end':<11}  {result.level:<{width}}  film"]
    for item in items:
        cosine = f"{item.score:.3f}" if item.rank else ""
        times = f"{item.timecode:<11}  {item.end_timecode:<11}"
        lines.append(f"{cosine:>6}  {times}  {item.id:<{width}}  {item.title}")
    compared = f"{result.compared:,} {result.level}{'s' * (result.compared != 1)} of {films}"
    return [*lines, f"compared with {compared}, embeddings of {result.encoder}"]
