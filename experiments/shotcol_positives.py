"""ShotCoL's central idea on frozen features: do similar neighbors teach more than any neighbors?

    VUJAX_DATA=... python experiments/shotcol_positives.py --work runs/positives

VGG19 features of BBC and of RAI, one per shot. A small network is trained on the shots of the
scored films, without labels, as `vujax scenes --adapt` does; only the choice of the positive and
the number of passes over the shots differ:
  instance: the shot itself in another view;
  random: any of the m neighbors on each side;
  walls: any of them on the own side of the fifth of the boundaries with the highest structure score
    of the raw features;
  soft: one of them, in proportion to exp(cosine / 0.1);
  nearest: the most similar one (ShotCoL).

Protocol, fixed before the first run: m = 4, 12 and 50 passes, 3 seeds, all other settings those of
`AdaptationConfig`, nothing is chosen on the results. The primary contrast is soft less random at 50
passes, by the gap score, on each set; everything else is secondary. Macro AP; paired differences
over films (a film is its mean over seeds), 95% t intervals with the number of films that are
better. Two scores: gap score and structure score.

Also written: statistics of the nearest positives of the raw features (near copies, even distances,
islands per 100 shots) for several m, and the share of positives in the true scene of their shot.
Tables are in experiments/results/shotcol_positives/. `--work` retains finished runs.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vujax.data.films import Film
from vujax.data.registry import open_films
from vujax.data.scene_structure import compute_structure_scores
from vujax.data.shot_similarity import compute_gap_scores
from vujax.evals.metrics.boundaries import FilmScores
from vujax.evals.metrics.positives import measure_positives, select_nearest
from vujax.scenes.adapt import AdaptationConfig, train_adapter
from vujax.training.sweep.tables import Runs, TableRow, build_paired_rows, format_value, write_rows
from vujax.utils.io import write_json

RESULTS = Path(__file__).with_name("results") / "shotcol_positives"
SETS = ("rai", "bbc")
PASSES = (50, 12)
NEIGHBOURS = 4
MODES = {
    "instance": dict(mode="instance"),
    "random": dict(mode="random"),
    "walls": dict(mode="random", walls=0.2),
    "soft": dict(mode="soft", soft_temperature=0.1),
    "nearest": dict(mode="nearest"),
}
SCORES = ("gap score", "structure score")
ABOUT = """Macro AP of features adapted to the scored films, by the choice of positives; m = 4.

Protocol: see experiments/shotcol_positives.py. Intervals: 95% t over films."""


def vectors_of(film: Film) -> np.ndarray:
    """Return the features of all shots, float32 `[n d]`."""
    return film.inputs(np.arange(len(film)))["feature"]


def score_films(films: Sequence[Film], vectors: Sequence[np.ndarray]) -> dict[str, list]:
    """Return the scores of each film as lists, by the name of the score."""
    return {
        "gap score": [compute_gap_scores(v).tolist() for v in vectors],
        "structure score": [
            compute_structure_scores(v, film.seconds).tolist()
            for film, v in zip(films, vectors, strict=True)
        ],
    }


def run(films: Sequence[Film], mode: str, passes: int, seed: int, path: Path) -> dict[str, list]:
    """Return the scores of a run, from its file if it is finished."""
    if path.exists():
        return json.loads(path.read_text())
    config = AdaptationConfig(**MODES[mode], neighbours=NEIGHBOURS, passes=passes, steps=100_000)
    network = train_adapter([vectors_of(film) for film in films], config, seed=seed)
    scores = score_films(films, [network(vectors_of(film)) for film in films])
    write_json(path, scores)
    print(path.stem, flush=True)
    return scores


def as_runs(films: Sequence[Film], runs: Sequence[dict[str, list]], score: str) -> Runs:
    """Return the scores of runs with the labels."""
    return [
        [FilmScores.from_film(film, s) for film, s in zip(films, one[score], strict=True)]
        for one in runs
    ]


def table(name: str, films: Sequence[Film], work: Path, seeds: int) -> Iterator[TableRow]:
    """Yield a row per number of passes, score and mode; compute missing runs."""
    raw = [score_films(films, [vectors_of(film) for film in films])]
    for passes in PASSES:
        found = {"raw": raw} | {
            mode: [
                run(films, mode, passes, seed, work / f"{name}-{mode}-{passes}-{seed}.json")
                for seed in range(seeds)
            ]
            for mode in MODES
        }
        for score in SCORES:
            runs = {mode: as_runs(films, each, score) for mode, each in found.items()}
            words = {"films": name, "passes": passes, "score": score}
            rows = build_paired_rows(runs, ("raw", "instance", "random"), column="positives")
            yield from (words | row for row in rows)


def describe(films: Sequence[Film]) -> Iterator[TableRow]:
    """Yield statistics of the nearest positives of raw features."""
    vectors = [vectors_of(film) for film in films]
    for m in (1, 2, 4, 8):
        scenes = [np.append(0, np.cumsum(film.starts)) for film in films]
        pure = [s[select_nearest(v, m)[0]] == s for v, s in zip(vectors, scenes, strict=True)]
        near = [
            np.mean([s[j] == s[i] for j in neighbours_of(i, m, len(s))])
            for s in scenes
            for i in range(len(s))
        ]
        shares = {"in the true scene": float(np.concatenate(pure).mean())}
        shares["random, in the true scene"] = float(np.mean(near))
        yield {"m": m, **measure_positives(vectors, neighbours=m), **shares}


def neighbours_of(shot: int, m: int, shots: int) -> list[int]:
    """Return the neighbors of a shot."""
    return [j for j in range(max(0, shot - m), min(shots, shot + m + 1)) if j != shot]


def main() -> None:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of finished runs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    args = parser.parse_args()
    if not os.environ.get("VUJAX_DATA"):
        raise SystemExit("set VUJAX_DATA to the folder that holds the real data")
    path = str(Path(os.environ["VUJAX_DATA"]) / "boundaries")
    sets = {
        name: open_films("features", path=path, pattern=f"{name}_*", key="vgg19")
        for name in args.sets
    }
    statistics = [{"films": name} | row for name, films in sets.items() for row in describe(films)]
    write_rows(RESULTS, "statistics", statistics, ABOUT)
    rows: list[TableRow] = []
    for name, films in sets.items():
        rows += table(name, films, args.work, args.seeds)
        write_rows(RESULTS, "table", rows, ABOUT)
    for row in [*statistics, *rows]:
        print("; ".join(f"{key} {format_value(value)}" for key, value in row.items()))


if __name__ == "__main__":
    main()
