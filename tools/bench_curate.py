"""Latency of the curation server: search, folding, classifier and estimates.

    python tools/bench_curate.py --items 50000 --dim 512

Embeddings are random, in films of 1,000 shots of which a fifth repeat the shot before. Prints one
JSON line per request: median and maximum in milliseconds.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from vujax.annotate.app import ranking
from vujax.annotate.app.items import ItemSet
from vujax.annotate.app.ranking import estimate_precision
from vujax.annotate.app.requests import SearchRequest
from vujax.utils.arrays import l2_normalize

SHOTS = 1000  # per film


def main() -> None:
    """Measure every request, and print a JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--labels", type=int, nargs="+", default=[20, 200, 2000])
    parser.add_argument("--repeat", type=int, default=7)
    arguments = parser.parse_args()
    level = generate(arguments.items, arguments.dim)
    about = dict(items=arguments.items, dim=arguments.dim)

    def show(what: str, call: Callable[[], Any], **more: object) -> None:
        took = [measure_ms(call) for _ in range(arguments.repeat)]
        print(json.dumps(dict(request=what) | about | more | summarize_times(took)), flush=True)

    query = l2_normalize(np.random.default_rng(1).normal(size=arguments.dim)).astype(np.float32)
    show("first fold of a level", lambda: copy_uncached(level).groups)
    show("words: all scores", lambda: level.compute_scores(query))
    found = ranking.sort_rows(np.arange(len(level)), level.compute_scores(query))
    show(
        "words: all scores in order",
        lambda: ranking.sort_rows(found.rows, level.compute_scores(query)),
    )
    show("fold of a ranking", lambda: ranking.fold_duplicates(found, level))
    show("its JSON", lambda: json.dumps([found.rows.tolist(), found.scores.tolist()]))
    values = dict.fromkeys(level.ids[:: max(1, len(level) // 2000)], 1)
    above = found.above(float(np.median(found.scores))).tolist()
    show("estimate", lambda: estimate_precision(values.get(level.ids[row], 0) for row in above))
    for count in arguments.labels:
        labels = label_examples(level, count)
        ask = SearchRequest("shot", "set", label="x", learn=True)
        show(
            "learn and rank",
            lambda s=labels, a=ask: ranking.rank_items(a, level, s, {}),
            labels=count,
        )


def generate(items: int, dim: int) -> ItemSet:
    """Return a level of random embeddings."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(items, dim)).astype(np.float32)
    repeats = rng.random(items) < 0.2  # as the one before
    repeats[0] = False
    (again,) = np.nonzero(repeats)
    vectors[again] = vectors[again - 1] + 0.05 * vectors[again]
    films = np.arange(items) // SHOTS
    rows = pa.table(
        {
            "film": [f"film-{film:08x}" for film in films],
            "id": [f"film-{film:08x}/s{item % SHOTS:04d}" for item, film in enumerate(films)],
            "shot": pa.array(np.arange(items) % SHOTS, pa.int32()),
        }
    )
    index = SimpleNamespace(
        vectors=l2_normalize(vectors), rows=rows, film_numbers=pa.array(films), level="shot"
    )
    return ItemSet.from_index(index)


def copy_uncached(level: ItemSet) -> ItemSet:
    """Return a copy without cached results."""
    return ItemSet(level.index, level.ids)


def label_examples(level: ItemSet, count: int) -> dict[str, int]:
    """Return labels of random items, positive along one direction."""
    rows = np.random.default_rng(2).choice(len(level), count, replace=False)
    side = level.index.vectors[rows, 0]
    return {
        level.ids[row]: 1 if s > np.median(side) else -1 for row, s in zip(rows, side, strict=True)
    }


def summarize_times(took: list[float]) -> dict[str, float]:
    """Return median and maximum of times in milliseconds."""
    return dict(median_ms=round(statistics.median(took), 1), most_ms=round(max(took), 1))


def measure_ms(call: Callable[[], Any]) -> float:
    """Return the milliseconds that a call takes."""
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
