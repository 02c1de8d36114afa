"""`vujax search CATALOG "a boat on a lake" --not night`: frames, shots or scenes that are like it.

The catalogue's vectors come from `vujax embed` with the same --encoder.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vujax.cli import deprecation
from vujax.search.backends import BACKENDS

if TYPE_CHECKING:  # the help needs none of it
    from vujax.search.hits import Hit
    from vujax.search.index import Index
    from vujax.search.query import Encode, Term

LEVELS = ("frame", "shot", "scene")
TYPES = ("float32", "float16", "bfloat16")
LEAST_WIDTH = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("catalog", type=Path, metavar="CATALOG", help="folder of the catalogue")
    add("query", nargs="*", metavar="TEXT", help="what to look for; 'a boat:2' counts twice")
    more = dict(action="append", default=[])
    add("--not", dest="against", metavar="TEXT", help="what is not wanted", **more)
    add("--image", metavar="FILE", help="a picture to look for", **more)
    add("--like", metavar="ID", help="FILM/s0012 or another id, to look for the like of", **more)
    add_index_arguments(parser)
    add(
        "--where",
        metavar="FILTER",
        help="such as \"year > 1990 and genre contains 'Drama'\"; columns of the films' metadata, "
        "and seconds, duration, film, id, shot",
    )
    add(
        "--templates",
        nargs="+",
        default=["frame"],
        metavar="NAME|TEXT",
        help="wordings of a text: frame, name (the text alone), photo ..., or your own with {} "
        "in it (frame)",
    )
    add("--top", type=int, default=20, metavar="N", help="how many (20)")
    add("--per-film", type=int, metavar="N", help="most of one film")
    add("--fold", action="store_true", help="of a shot's frames show only the best")
    add(
        "--backend",
        choices=BACKENDS.names(),
        default="exact",
        metavar="NAME",
        help=f"search backend: {', '.join(BACKENDS)} (default: exact)",
    )
    deprecation.add_old_option(parser, "--searcher", "--backend")
    add("--out", type=Path, metavar="FILE", help="also .parquet, .csv, .jsonl, or a page: .html")


def add_index_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares which vectors are searched."""
    add = parser.add_argument
    add("--encoder", default="lite", metavar="NAME", help="whose vectors, as for embed (lite)")
    add("--space", metavar="NAME", help="where texts meet them, if not the encoder's own")
    add("--level", choices=LEVELS, default="shot", help="what to find (shot)")
    add("--type", choices=TYPES, default="float32", help="of the kept numbers (float32)")


def run(arguments: argparse.Namespace) -> int:
    """Prints a table, and writes the results if a file is named."""
    terms = _terms(arguments)
    if arguments.out:
        from vujax.search.results import check

        check(arguments.out)
    index = open_index(arguments)
    hits, kept = _search(arguments, index, terms)
    for line in _table(hits):
        print(line)
    things = f"{len(index):,} {index.level}s"
    if not kept:
        print(f"nothing found: the filter keeps none of {things}")
    else:
        some = things if kept == len(index) else f"{kept:,} of {things}"
        print(f"searched {some}, vectors of {index.model.folder}")
    if arguments.out:
        from vujax.search.results import write

        print(write(arguments.out, index, hits, _words(terms)))
    return 0


def open_index(arguments: argparse.Namespace) -> "Index":
    """The index that the arguments name, made if need be; says what it lacks."""
    from tqdm import tqdm

    from vujax.catalog import Catalog
    from vujax.search.index import Index, encoder_of
    from vujax.search.text_space import open_space

    catalog = Catalog(arguments.catalog)
    space = open_space(arguments.space or arguments.encoder)
    encoder = encoder_of(arguments.encoder)
    with tqdm(unit="film", desc="index", disable=None, leave=False) as bar:

        def report(done: int, films: int) -> None:
            bar.total = films
            bar.update(done - bar.n)

        index = Index.open(catalog, arguments.level, encoder, space, arguments.type, report)
    if index.missing:
        films = f"{len(index.missing)} of {index.films.num_rows} films"
        print(
            f"{films} have no {index.level} vectors of {index.model.folder} and are not searched, "
            f"such as {index.missing[0]}: run `vujax embed {arguments.catalog} --encoder "
            f"{arguments.encoder} --level {index.level}`",
            file=sys.stderr,
        )
    return index


def _terms(arguments: argparse.Namespace) -> "list[Term]":
    from vujax.search.query import is_foreign, term

    terms = [term(words) for words in arguments.query]
    terms += [term(words, against=True) for words in arguments.against]
    terms += [term(words, "image") for words in arguments.image]
    terms += [term(words, "like") for words in arguments.like]
    if not terms:
        raise ValueError("there is no query: give a text, --image FILE or --like ID")
    for one in terms:
        if one.kind == "image" and not Path(one.text).is_file():
            raise FileNotFoundError(f"{one.text} does not exist (--image)")
    if is_foreign([one.text for one in terms if one.kind == "text"]):
        print(
            "most letters of the query are not Latin: encoders trained on English texts do not "
            "read them, and what they find means nothing",
            file=sys.stderr,
        )
    return terms


def _search(
    arguments: argparse.Namespace, index: "Index", terms: "list[Term]"
) -> "tuple[list[Hit], int]":
    """What is found, and among how many."""
    import numpy as np

    from vujax.search.backends import open_backend
    from vujax.search.hits import find, kept_rows
    from vujax.search.query import combine, wordings

    own = [index.rows_of(one.text) for one in terms if one.kind == "like"]
    kept = kept_rows(index, arguments.where, np.concatenate(own) if own else None)
    vector = combine(terms, index, wordings(arguments.templates), _encode(arguments, index))
    hits = find(
        index,
        open_backend(arguments.backend, index),
        vector,
        top=arguments.top,
        kept=None if kept.all() else kept,
        per_film=arguments.per_film,
        fold=arguments.fold,
    )
    return hits, int(kept.sum())


def _encode(arguments: argparse.Namespace, index: "Index") -> "Encode":
    """Makes vectors of pictures; the encoder is opened when there is one."""

    def encode(path: Path):
        from vujax.encoders import open_encoder
        from vujax.search.query import picture_vector

        return picture_vector(path, open_encoder(arguments.encoder, "frame"), index)

    return encode


def _words(terms: "Sequence[Term]") -> str:
    """The query in words."""
    signs = [("not " if one.weight < 0 else "", one) for one in terms]
    return ", ".join(
        f"{sign}{'' if one.kind == 'text' else one.kind + ' '}{one.text}"
        + (f":{abs(one.weight):g}" if abs(one.weight) != 1 else "")
        for sign, one in signs
    )


def _table(hits: "Sequence[Hit]") -> list[str]:
    """Columns in line; lines are cut where the terminal ends."""
    rows = [["", "score", "film", "timecode", "id"]]
    for hit in hits:
        more = f"  (+{hit.folded})" if hit.folded else ""
        rows.append([str(hit.rank), f"{hit.score:.3f}", hit.title, hit.timecode, hit.id + more])
    widths = [min(max(map(len, column)), 44) for column in zip(*rows, strict=True)]
    widths[-1] = max(len(row[-1]) for row in rows)
    most = max(shutil.get_terminal_size((160, 0)).columns, LEAST_WIDTH)
    pairs = (zip(row, widths, strict=True) for row in rows if hits)
    return ["  ".join(f"{c[:w]:<{w}}" for c, w in row).rstrip()[:most] for row in pairs]
