"""`vujax search CATALOG "a boat on a lake" --not night`: search frames, shots or scenes.

The catalog needs embeddings of `vujax embed` with the same --encoder.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vujax.cli import deprecation
from vujax.search.backends import BACKENDS
from vujax.utils.formatting import align_columns, measure_columns

if TYPE_CHECKING:  # not needed for --help
    from vujax.search.hits import Hit
    from vujax.search.index import Index
    from vujax.search.query import Term

LEVELS = ("frame", "shot", "scene")
TYPES = ("float32", "float16", "bfloat16")
MIN_WIDTH = 80
MAX_COLUMN = 44


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("catalog", type=Path, metavar="CATALOG", help="catalog folder")
    add("query", nargs="*", metavar="TEXT", help="text to search for; 'a boat:2' has weight 2")
    more = dict(action="append", default=[])
    add("--not", dest="against", metavar="TEXT", help="text that is not wanted", **more)
    add("--image", metavar="FILE", help="image to search for", **more)
    add("--like", metavar="ID", help="item to search for, such as FILM/s0012", **more)
    add_index_arguments(parser)
    add(
        "--where",
        metavar="FILTER",
        help="filter such as \"year > 1990 and genre contains 'Drama'\"; columns are the films' "
        "metadata and seconds, duration, film, id, shot",
    )
    add(
        "--templates",
        nargs="+",
        default=["frame"],
        metavar="NAME|TEXT",
        help="templates of a text: frame, name (the text alone), photo ..., or texts with {} "
        "(default: frame)",
    )
    add("--top", type=int, default=20, metavar="N", help="maximum number of results (default: 20)")
    add("--per-film", type=int, metavar="N", help="maximum number of results per film")
    add("--fold", action="store_true", help="show only the best frame of each shot")
    add(
        "--backend",
        choices=BACKENDS.names(),
        default="exact",
        metavar="NAME",
        help=f"search backend: {', '.join(BACKENDS)} (default: exact)",
    )
    deprecation.add_old_option(parser, "--searcher", "--backend")
    add("--out", type=Path, metavar="FILE", help="output file: .parquet, .csv, .jsonl or .html")


def add_index_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that select an index."""
    add = parser.add_argument
    add(
        "--encoder",
        default="lite",
        metavar="NAME",
        help="encoder of the embeddings, as for `vujax embed` (default: lite)",
    )
    add("--space", metavar="NAME", help="text space (default: that of the encoder)")
    add("--level", choices=LEVELS, default="shot", help="items to search (default: shot)")
    add("--type", choices=TYPES, default="float32", help="type of the index (default: float32)")


def run(arguments: argparse.Namespace) -> int:
    """Print the results as a table, and write them if --out is given."""
    terms = _parse_terms(arguments)
    if arguments.out:
        from vujax.search.results import check_suffix

        check_suffix(arguments.out)
    index = open_index(arguments, texts=any(term.kind == "text" for term in terms))
    hits, num_searched = _search(arguments, index, terms)
    for line in _table(hits):
        print(line)
    items = f"{len(index):,} {index.level}s"
    if not num_searched:
        print(f"no results: the filter matches none of {items}")
    else:
        searched = items if num_searched == len(index) else f"{num_searched:,} of {items}"
        print(f"searched {searched}, embeddings of {index.model.folder}")
    if arguments.out:
        from vujax.search.results import write_results

        print(write_results(arguments.out, index, hits, _describe(terms)))
    return 0


def open_index(arguments: argparse.Namespace, *, texts: bool = True) -> "Index":
    """Open the selected index, building it if necessary, and warn about missing films."""
    from tqdm import tqdm

    from vujax.catalog import Catalog
    from vujax.search.run import open_index as open_catalog_index

    with tqdm(unit="film", desc="index", disable=None, leave=False) as bar:

        def report(done: int, films: int) -> None:
            bar.total = films
            bar.update(done - bar.n)

        index = open_catalog_index(
            Catalog(arguments.catalog),
            arguments.level,
            arguments.encoder,
            space=arguments.space,
            texts=texts,
            dtype=arguments.type,
            report=report,
        )
    if index.missing:
        films = f"{len(index.missing)} of {index.films.num_rows} films"
        print(
            f"{films} have no {index.level} embeddings of {index.model.folder} and are not "
            f"searched, such as {index.missing[0]}; run `vujax embed {arguments.catalog} "
            f"--encoder {arguments.encoder} --level {index.level}`",
            file=sys.stderr,
        )
    return index


def _parse_terms(arguments: argparse.Namespace) -> "list[Term]":
    from vujax.search.query import is_mostly_non_latin, parse_term

    terms = [parse_term(words) for words in arguments.query]
    terms += [parse_term(words, against=True) for words in arguments.against]
    terms += [parse_term(words, "image") for words in arguments.image]
    terms += [parse_term(words, "like") for words in arguments.like]
    if not terms:
        raise ValueError("the query is empty; give a text, --image FILE or --like ID")
    for term in terms:
        if term.kind == "image" and not Path(term.text).is_file():
            raise FileNotFoundError(f"{term.text} does not exist (--image)")
    if is_mostly_non_latin([term.text for term in terms if term.kind == "text"]):
        print(
            "most letters of the query are not Latin: an encoder trained on English texts does "
            "not understand them, and the results are meaningless",
            file=sys.stderr,
        )
    return terms


def _search(
    arguments: argparse.Namespace, index: "Index", terms: "list[Term]"
) -> "tuple[list[Hit], int]":
    """Return the results and the number of rows that were searched."""
    from vujax.search.run import SearchOptions, run_search

    names = ("encoder", "backend", "where", "templates", "top", "per_film", "fold")
    options = {name: getattr(arguments, name) for name in names}
    return run_search(index, terms, SearchOptions(**options))


def _describe(terms: "Sequence[Term]") -> str:
    """Return the query in words."""
    signs = [("not " if term.weight < 0 else "", term) for term in terms]
    return ", ".join(
        f"{sign}{'' if term.kind == 'text' else term.kind + ' '}{term.text}"
        + (f":{abs(term.weight):g}" if abs(term.weight) != 1 else "")
        for sign, term in signs
    )


def _table(hits: "Sequence[Hit]") -> list[str]:
    """Return aligned lines, cut to the width of the terminal."""
    rows = [["", "score", "film", "timecode", "id"]]
    for hit in hits:
        more = f"  (+{hit.folded})" if hit.folded else ""
        rows.append([str(hit.rank), f"{hit.score:.3f}", hit.title, hit.timecode, hit.id + more])
    widths = [min(width, MAX_COLUMN) for width in measure_columns(rows)]
    widths[-1] = max(len(row[-1]) for row in rows)
    limit = max(shutil.get_terminal_size((160, 0)).columns, MIN_WIDTH)
    return align_columns(rows, widths, limit=limit) if hits else []
