"""One real film end to end: the scenes of Big Buck Bunny against its 16 human boundaries.

    VUJAX_DATA=... python experiments/big_buck_bunny.py --work runs/big_buck_bunny

The input is the complete film at 160 x 120 pixels and 4 frames/s, the output are times, as with
`vujax scenes`: TransNetV2, EfficientNet-Lite0, the structure score. Baselines use the same shots
and embeddings: the head of the package, the gap score, adaptation to the film without labels
(several seeds), a given number of scenes, a head trained on the labels of BBC and RAI (VGG19
embeddings), and boundaries that see no image. Precision and recall: times within 2 s of a human
boundary, each matched once. AP: over the detected shot boundaries, with the human boundaries
snapped to them.

Writes a table under experiments/results/big_buck_bunny/. `--work` retains the catalog, so that the
film is read once. Nothing was tuned on this film, and with 16 boundaries it is no benchmark.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vujax.catalog import Catalog
from vujax.data.datasets.scene_ranges import snap_to_shots
from vujax.data.registry import open_films
from vujax.evals.metrics.boundaries import duration_scores, match_within_seconds
from vujax.evals.metrics.classification import average_precision
from vujax.scenes.adapt import adapt_embeddings
from vujax.scenes.detect import SceneDetectionJob, run_scene_detection
from vujax.scenes.film import load_shot_embeddings, predict_boundaries
from vujax.scenes.head import BoundaryHead, load_head
from vujax.scenes.structure import StructureHead
from vujax.scenes.train_head import train_head
from vujax.scenes.types import Head, SceneDetectionOptions
from vujax.training.sweep.tables import TableRow, format_value, write_rows

RESULTS = Path(__file__).with_name("results") / "big_buck_bunny"
NEAR_S = 2.0
CHANCE = 1000  # draws of random borders
ABOUT = """Big Buck Bunny, 16 human boundaries; precision and recall within 2 s, AP over its shots.

Nothing was tuned on this film: the head learned on procedural films (or BBC and RAI), every setting
was chosen on others. With 16 boundaries the table is an example and no benchmark: one boundary is
0.06 of recall. Where `runs` is more than 1, figures are means over seeds, `recall from` and `to`
their extremes."""


class Film(NamedTuple):
    """Inputs that all rows share.

    Attributes:
      vectors: float32 `[n d]`.
      seconds: float64 `[n 2]`, of its shots.
      true_s: float64 `[16]`, human boundaries.
      starts: bool `[n-1]`, these at the nearest shots.
    """

    vectors: np.ndarray
    seconds: np.ndarray
    true_s: np.ndarray
    starts: np.ndarray


class Found(NamedTuple):
    """Result of one run: boundary times in seconds, and scores `[n-1]` if it has any."""

    times: np.ndarray
    scores: np.ndarray | None = None


def row(name: str, film: Film, runs: Sequence[Found]) -> TableRow:
    """Average a row over runs."""
    pairs = np.array([match_within_seconds(run.times, film.true_s, NEAR_S) for run in runs])
    f1 = 2 * pairs.prod(axis=1) / np.maximum(pairs.sum(axis=1), 1e-9)
    aps = [average_precision(r.scores, film.starts) for r in runs if r.scores is not None]
    result: TableRow = {
        "scenes by": name,
        "borders": float(np.mean([len(run.times) for run in runs])),
        "precision": pairs[:, 0].mean(),
        "recall": pairs[:, 1].mean(),
        "f1": f1.mean(),
        "ap": float(np.mean(aps)) if aps else "",
        "runs": len(runs),
    }
    if len(runs) == 1:
        return result
    return {**result, "recall from": pairs[:, 1].min(), "recall to": pairs[:, 1].max()}


def without_pictures(film: Film) -> Iterator[TableRow]:
    """Return as many boundaries as true ones: at random, evenly in time, between long shots."""
    count, last = len(film.true_s), len(film.seconds) - 1
    rng = np.random.default_rng(0)
    draws = [rng.random(last) for _ in range(CHANCE)]
    yield row("random borders, 16", film, [_highest(film, draw, count) for draw in draws])
    even = np.linspace(film.seconds[0, 0], film.seconds[-1, 1], count + 2)[1:-1]
    yield row("evenly in time, 16", film, [Found(even)])
    yield row("longest shots, 16", film, [_highest(film, duration_scores(film.seconds), count)])
    best = Found(film.seconds[1:, 0][film.starts])
    yield row("the shots' borders nearest to the truth (a limit)", film, [best])


def _highest(film: Film, scores: np.ndarray, count: int) -> Found:
    return Found(film.seconds[1 + np.sort(np.argsort(-scores)[:count]), 0], scores)


def divided(
    film: Film, vectors: np.ndarray, how: SceneDetectionOptions, head: Head | None
) -> Found:
    """Return the boundaries of `vujax scenes` for these embeddings."""
    original = None if vectors is film.vectors else film.vectors
    division = predict_boundaries(vectors, film.seconds, how, head, original=original)
    return Found(film.seconds[1 + division.boundaries, 0], division.scores)


def by_pictures(
    film: Film, seeds: int, heads: dict[str, Sequence[Head | None]]
) -> Iterator[TableRow]:
    """Yield each head (or none) on original and adapted embeddings, and a number of scenes."""
    for name, ones in heads.items():
        yield row(
            name,
            film,
            [divided(film, film.vectors, SceneDetectionOptions(), head) for head in ones],
        )
        count = len(film.true_s)
        highest = [
            divided(film, film.vectors, SceneDetectionOptions(), head).scores for head in ones
        ]
        yield row(f"{name}, its 16 highest", film, [_highest(film, s, count) for s in highest])
    adapted = [adapt_embeddings([film.vectors], seed=seed)[0] for seed in range(seeds)]
    for name, ones in heads.items():
        runs = [divided(film, vectors, SceneDetectionOptions(), ones[0]) for vectors in adapted]
        yield row(f"{name}, adapted", film, runs)
    wished = SceneDetectionOptions(num_scenes=len(film.true_s) + 1)
    yield row("17 scenes wished", film, [_only_times(divided(film, film.vectors, wished, None))])
    runs = [_only_times(divided(film, vectors, wished, None)) for vectors in adapted]
    yield row("17 scenes wished, adapted", film, runs)


def _only_times(found: Found) -> Found:
    """Drop the scores of a grouping, which does not use them."""
    return Found(found.times)


def real_heads(data: Path, seeds: int) -> list[BoundaryHead]:
    """Train heads on the 18 labeled films of BBC and RAI; their weights are not in the package."""
    films = open_films("features", path=str(data / "boundaries"), key="vgg19")
    return [train_head(films, {"kind": "similarity"}, seed=seed) for seed in range(seeds)]


def read(data: Path, work: Path) -> tuple[TableRow, Film]:
    """Run `vujax scenes`, and return its result and inputs."""
    job = SceneDetectionJob([data / "bbb" / "bbb_160x120_4fps.mp4"], work, formats=("json",))
    result = run_scene_detection(job)
    if result.failed:
        raise SystemExit("; ".join(f"{path}: {reason}" for path, reason in result.failed))
    (scenes,) = result.films
    (truth,) = open_films("ranges", path=str(data / "bbb" / "bbb_ovsd.json"))
    shots = load_shot_embeddings(Catalog(work / "catalog"), scenes.film, job.encoder)
    labels = snap_to_shots(truth.scene_seconds, shots.seconds[:, 0])
    film = Film(shots.vectors, shots.seconds, truth.scene_seconds[1:], labels.starts)
    times = np.array([scene.start_s for scene in scenes.scenes[1:]])
    product = row("vujax scenes, end to end", film, [Found(times, np.array(scenes.scores))])
    return product, film


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds of the adaptation")
    parser.add_argument(
        "--head-seeds", type=int, default=3, help="number of seeds of the head on BBC and RAI"
    )
    args = parser.parse_args()
    if not os.environ.get("VUJAX_DATA"):
        raise SystemExit("set VUJAX_DATA to the folder that holds the real data")
    data = Path(os.environ["VUJAX_DATA"])
    product, film = read(data, args.work)
    heads = {
        "structure score": [StructureHead()],
        "packaged head": [load_head()],
        "head of BBC and RAI": real_heads(data, args.head_seeds),
        "gap score": [None],
    }
    rows = [product, *by_pictures(film, args.seeds, heads), *without_pictures(film)]
    print(f"{len(film.seconds)} shots; {film.starts.sum()} borders carry the 16 boundaries")
    for one in rows:
        print("; ".join(f"{key} {format_value(value)}" for key, value in one.items()))
    write_rows(RESULTS, "table", rows, ABOUT)


if __name__ == "__main__":
    main()
