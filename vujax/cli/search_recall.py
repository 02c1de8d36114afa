"""`vujax search-recall CATALOG --backend faiss`: its recall and time against exact search.

Queries are texts, a line each (--queries FILE), or vectors of the catalogue drawn at random, which
is easier than texts are.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from vujax.cli import deprecation, search
from vujax.search.backends import BACKENDS

if TYPE_CHECKING:  # the help needs none of it
    import numpy as np

    from vujax.search.index import Index


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("catalog", type=Path, metavar="CATALOG", help="folder of the catalogue")
    others = [name for name in BACKENDS if name != "exact"]
    add(
        "--backend",
        choices=others,
        default="faiss",
        metavar="NAME",
        help=f"search backend to measure: {', '.join(others)} (default: faiss)",
    )
    deprecation.add_old_option(parser, "--searcher", "--backend")
    search.add_index_arguments(parser)
    add("--queries", type=Path, metavar="FILE", help="texts, a line each")
    add("--count", type=int, default=200, metavar="N", help="vectors to draw otherwise (200)")
    add("-k", type=int, default=10, metavar="N", help="how many to find (10)")
    add("--where", metavar="FILTER", help="see `vujax search`")
    add("--json", action="store_true", help="a line of JSON for each searcher, no table")


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for exact search and one for the other."""
    from tqdm import tqdm

    from vujax.search.backends import open_backend
    from vujax.search.hits import kept_rows
    from vujax.search.recall import measure

    if arguments.k < 1 or arguments.count < 1:
        raise ValueError(f"-k and --count must be 1 or more: {arguments.k}, {arguments.count}")
    index = search.open_index(arguments)
    queries = _queries(arguments, index)
    mask = None if arguments.where is None else kept_rows(index, arguments.where)
    if mask is not None and not mask.any():
        raise ValueError(f"the filter keeps none of {len(index):,} {index.level}s")
    exact = open_backend("exact", index)
    truth = exact.search(queries, arguments.k, mask)
    with tqdm(unit="vector", desc="graph", disable=None, leave=False) as bar:

        def report(done: int, count: int) -> None:
            bar.total = count
            bar.update(done - bar.n)

        other = open_backend(arguments.backend, index, report)
    if not arguments.json:
        print(f"{len(queries)} queries, {len(index):,} {index.level}s, k = {arguments.k}")
        print(f"{'searcher':<10} {'recall':>7} {'p50 ms':>9} {'p99 ms':>9}")
    for searcher in (exact, other):
        found = measure(searcher, index.vectors, queries, arguments.k, truth, mask)
        if arguments.json:
            print(json.dumps({"searcher": searcher.name} | found._asdict()))
        else:
            figures = f"{found.recall:>7.4f} {found.p50_ms:>9.2f} {found.p99_ms:>9.2f}"
            print(f"{searcher.name:<10} {figures}")
    return 0


def _queries(arguments: argparse.Namespace, index: "Index") -> "np.ndarray":
    """Unit vectors, float32 `[q d]`."""
    import numpy as np

    if arguments.queries is None:
        rng = np.random.default_rng(0)
        rows = rng.choice(len(index), min(arguments.count, len(index)), replace=False)
        return index.vectors[np.sort(rows)].astype(np.float32)
    from vujax.search.query import FRAME, ensemble

    try:
        lines = arguments.queries.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{arguments.queries} is no text in UTF-8") from None
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise ValueError(f"{arguments.queries} has no text: write a query a line")
    return ensemble(index.space, texts, FRAME)
