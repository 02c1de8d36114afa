"""How long the curation page waits for its server: search, fold, learning, estimates.

    python tools/bench_curate.py --items 50000 --dim 512

Vectors are random, in films of 1,000 shots whose neighbours are alike now and then. Prints one JSON
line for each request: the median and the slowest of some, in milliseconds.
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
from vujax.annotate.app.items import Level
from vujax.annotate.app.precision import share
from vujax.annotate.app.requests import Ask
from vujax.utils.arrays import l2_normalize

SHOTS = 1000  # of a film


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--labels", type=int, nargs="+", default=[20, 200, 2000])
    parser.add_argument("--repeat", type=int, default=7)
    arguments = parser.parse_args()
    level = made(arguments.items, arguments.dim)
    about = dict(items=arguments.items, dim=arguments.dim)

    def show(what: str, call: Callable[[], Any], **more: object) -> None:
        took = [milliseconds(call) for _ in range(arguments.repeat)]
        print(json.dumps(dict(request=what) | about | more | times(took)), flush=True)

    query = l2_normalize(np.random.default_rng(1).normal(size=arguments.dim)).astype(np.float32)
    show("first fold of a level", lambda: fresh(level).groups)
    show("words: all scores", lambda: level.products(query))
    found = ranking.order(np.arange(len(level)), level.products(query))
    show("words: all scores in order", lambda: ranking.order(found.rows, level.products(query)))
    show("fold of a ranking", lambda: ranking.fold(found, level))
    show("its JSON", lambda: json.dumps([found.rows.tolist(), found.scores.tolist()]))
    values = dict.fromkeys(level.ids[:: max(1, len(level) // 2000)], 1)
    above = found.above(float(np.median(found.scores))).tolist()
    show("estimate", lambda: share(values.get(level.ids[row], 0) for row in above))
    for count in arguments.labels:
        said = examples(level, count)
        ask = Ask("shot", "set", label="x", learn=True)
        show("learn and rank", lambda s=said, a=ask: ranking.rank(a, level, s, {}), labels=count)


def made(items: int, dim: int) -> Level:
    """A level of random vectors."""
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
    return Level.of(index)


def fresh(level: Level) -> Level:
    """The same, with nothing worked out yet."""
    return Level(level.index, level.ids)


def examples(level: Level, count: int) -> dict[str, int]:
    """Labels of items: those along one direction hold."""
    rows = np.random.default_rng(2).choice(len(level), count, replace=False)
    side = level.index.vectors[rows, 0]
    return {
        level.ids[row]: 1 if s > np.median(side) else -1 for row, s in zip(rows, side, strict=True)
    }


def times(took: list[float]) -> dict[str, float]:
    """The median and the slowest."""
    return dict(median_ms=round(statistics.median(took), 1), most_ms=round(max(took), 1))


def milliseconds(call: Callable[[], Any]) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
