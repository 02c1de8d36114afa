"""`vujax search-recall CATALOG --backend faiss`: recall and latency against exact search.

Queries are texts, one per line (--queries FILE), or embeddings of the catalog drawn at random,
which are easier than texts.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from vujax.cli import deprecation, search
from vujax.search.backends import BACKENDS

if TYPE_CHECKING:  # not needed for --help
    import numpy as np

    from vujax.search.index import Index


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("catalog", type=Path, metavar="CATALOG", help="catalog folder")
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
    add("--queries", type=Path, metavar="FILE", help="text queries, one per line")
    add(
        "--count",
        type=int,
        default=200,
        metavar="N",
        help="number of random queries without --queries (default: 200)",
    )
    add("-k", type=int, default=10, metavar="N", help="neighbors per query (default: 10)")
    add("--where", metavar="FILTER", help="filter, as for `vujax search`")
    add("--json", action="store_true", help="print a line of JSON per backend instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Print the metrics of exact search and of the measured backend."""
    from tqdm import tqdm

    from vujax.search.backends import open_backend
    from vujax.search.hits import select_rows
    from vujax.search.recall import measure_backend

    if arguments.k < 1 or arguments.count < 1:
        raise ValueError(f"-k and --count must be 1 or more, got {arguments.k}, {arguments.count}")
    index = search.open_index(arguments)
    queries = _load_queries(arguments, index)
    mask = None if arguments.where is None else select_rows(index, arguments.where)
    if mask is not None and not mask.any():
        raise ValueError(f"the filter matches none of {len(index):,} {index.level}s")
    exact = open_backend("exact", index)
    truth = exact.search(queries, arguments.k, mask)
    with tqdm(unit="vector", desc="graph", disable=None, leave=False) as bar:

        def report(done: int, count: int) -> None:
            bar.total = count
            bar.update(done - bar.n)

        measured = open_backend(arguments.backend, index, report)
    if not arguments.json:
        print(f"{len(queries)} queries, {len(index):,} {index.level}s, k = {arguments.k}")
        print(f"{'searcher':<10} {'recall':>7} {'p50 ms':>9} {'p99 ms':>9}")
    for backend in (exact, measured):
        metrics = measure_backend(backend, index.vectors, queries, arguments.k, truth, mask)
        if arguments.json:
            print(json.dumps({"searcher": backend.name} | metrics._asdict()))
        else:
            figures = f"{metrics.recall:>7.4f} {metrics.p50_ms:>9.2f} {metrics.p99_ms:>9.2f}"
            print(f"{backend.name:<10} {figures}")
    return 0


def _load_queries(arguments: argparse.Namespace, index: "Index") -> "np.ndarray":
    """Return the queries as unit vectors, float32 `[q d]`."""
    import numpy as np

    if arguments.queries is None:
        rng = np.random.default_rng(0)
        rows = rng.choice(len(index), min(arguments.count, len(index)), replace=False)
        return index.vectors[np.sort(rows)].astype(np.float32)
    from vujax.search.query import FRAME_TEMPLATES, encode_texts

    try:
        lines = arguments.queries.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{arguments.queries} is not UTF-8 text; save it as UTF-8") from None
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise ValueError(f"{arguments.queries} has no text; write one query per line")
    return encode_texts(index.space, texts, FRAME_TEMPLATES)
