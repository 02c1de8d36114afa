"""Label-free scene boundaries on BBC and RAI: ShotCoL adaptation and its controls.

    VUJAX_DATA=... python experiments/scene_adaptation.py --work runs/adaptation

VGG19 features, one per shot; the score of a boundary is 1 - the best cosine of the 4 shots before
and the 4 after. Raw, or adapted by 400 steps of ShotCoL in one of three modes: instance (the shot
itself in another view), random neighbor, nearest neighbor (ShotCoL).

Neighborhood and temperature of each mode are selected on BBC by leaving one film out: the left-out
film is scored with the best setting on the other ten, so that BBC's figures are unbiased. RAI is
evaluated once, with the best setting on all of BBC. 'adapted' trains on the shots of the scored
films (never on labels), 'elsewhere' on those of the other set.

The length of training depends on the number of shots. `--alone` adapts to one BBC film at a time,
and to pieces of 100 shots, with an increasing number of passes; `AdaptationConfig.passes` was
selected there, after a first evaluation of RAI in which 400 steps, 171 passes over its 598 shots,
gained nothing.

Writes under experiments/results/scene_adaptation/: grid (every run on BBC), table (macro AP and
paired differences; t intervals over films) and a plot. `--rai` writes RAI's rows alone, with the
settings of the committed grid. `--work` retains finished runs, so
that the same command resumes; `--part I/N` runs one part of them, for several cores.
"""

import argparse
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from vujax.data.films import Film
from vujax.data.registry import open_films
from vujax.data.shot_similarity import compute_gap_scores
from vujax.evals.metrics.boundaries import FilmScores, compute_baselines, evaluate
from vujax.scenes.adapt import AdaptationConfig, train_adapter
from vujax.training.sweep.tables import (
    Runs,
    TableRow,
    build_paired_rows,
    write_intervals,
    write_rows,
)
from vujax.utils.io import write_atomically, write_json

RESULTS = Path(__file__).with_name("results") / "scene_adaptation"
SETS = ("bbc", "rai")
MODES = {"instance": (1,), "random": (1, 2, 4, 8), "nearest": (1, 2, 4, 8)}
TEMPERATURES = (0.07, 0.1, 0.2)
ALONE = "BBC, each film or piece of 100 shots adapted to itself alone (0 passes: raw); seed 0."
PIECE = 100  # shots
PASSES = (10, 25, 50, 100, 200)
Encode = Callable[[np.ndarray], np.ndarray]


def grid() -> list[AdaptationConfig]:
    """Combine every mode, neighborhood and temperature."""
    return [
        AdaptationConfig(mode=mode, neighbours=m, temperature=t)
        for mode, reaches in MODES.items()
        for m, t in product(reaches, TEMPERATURES)
    ]


class Study:
    """The films, and cached runs."""

    def __init__(self, data: Path, work: Path, seeds: int, part: tuple[int, int]) -> None:
        self._work, self.seeds, self._part = work, seeds, part
        self.films = {
            name: open_films("features", path=str(data / "boundaries"), pattern=f"{name}_*")
            for name in SETS
        }

    def runs(self, how: AdaptationConfig, learned: str, scored: str) -> Runs:
        """Return scores of the films of `scored` for each seed, adapted on `learned`."""
        found = [self._run(how, learned, scored, seed) for seed in range(self.seeds)]
        return [self._of(scored, run) for run in found if run]

    def raw(self, scored: str) -> Runs:
        """Score the features without adaptation."""
        return [
            self._of(scored, [compute_gap_scores(vectors(film)) for film in self.films[scored]])
        ]

    def _of(self, name: str, scores: Sequence[np.ndarray]) -> list[FilmScores]:
        return [FilmScores.from_film(f, s) for f, s in zip(self.films[name], scores, strict=True)]

    def _run(self, how: AdaptationConfig, learned: str, scored: str, seed: int) -> list | None:
        """Return cached scores, or new ones; None where another part computes them."""
        words = f"{how.mode}-{how.neighbours}-{how.temperature}-{learned}-{scored}-{seed}"
        path = self._work / f"{words}.json"
        if path.exists():
            return json.loads(path.read_text())
        index, parts = self._part
        if zlib.crc32(words.encode()) % parts != index:
            return None
        network = train_adapter([vectors(film) for film in self.films[learned]], how, seed=seed)
        scores = [
            compute_gap_scores(network(vectors(film))).tolist() for film in self.films[scored]
        ]
        write_json(path, scores)
        print(words, flush=True)
        return scores


def alone(films: Sequence[Film]) -> Iterator[TableRow]:
    """Compute macro AP of films, and of pieces of them, each adapted to itself alone; one seed."""
    for shots in (None, PIECE):
        cuts = [cut for film in films for cut in pieces(film, shots)]
        yield {"shots": shots or "film", "passes": 0} | _mean(cuts, lambda seen: seen)
        for passes in PASSES:
            how = AdaptationConfig(passes=passes, steps=10_000)
            words = {"shots": shots or "film", "passes": passes}
            yield words | _mean(cuts, lambda seen, how=how: train_adapter([seen], how)(seen))


def pieces(film: Film, shots: int | None) -> Iterator[tuple[np.ndarray, FilmScores]]:
    """Return embeddings and labels of a complete film, or of consecutive pieces of it."""
    size = shots or len(film)
    for first in range(0, len(film) - size + 1, size):
        starts, seconds = film.starts[first:][: size - 1], film.seconds[first:][:size]
        labels = FilmScores(f"{film.film} from {first}", starts * 0.0, starts, None, seconds)
        yield vectors(film)[first:][:size], labels


def _mean(cuts: Sequence[tuple[np.ndarray, FilmScores]], encode: Encode) -> TableRow:
    scored = [labels._replace(scores=compute_gap_scores(encode(seen))) for seen, labels in cuts]
    return {"films": len(cuts), "macro/ap": evaluate(scored)["macro/ap"]}


def vectors(film: Film) -> np.ndarray:
    """Concatenate the features of all shots, float32 `[n d]`."""
    return film.inputs(np.arange(len(film)))["feature"]


def aps(runs: Runs) -> np.ndarray:
    """Return average precisions `[seeds films]`."""
    return np.array([[evaluate([film])["macro/ap"] for film in run] for run in runs])


def left_out(candidates: list[Runs]) -> tuple[Runs, int]:
    """Score each film by the best setting on the other films; return also the best on all."""
    each = np.stack([aps(runs).mean(axis=0) for runs in candidates])  # [candidates films]
    rest = each.sum(axis=1, keepdims=True) - each
    chosen = rest.argmax(axis=0)
    seeds = range(len(candidates[0]))
    runs = [[candidates[c][s][f] for f, c in enumerate(chosen)] for s in seeds]
    return runs, int(each.sum(axis=1).argmax())


def table(study: Study, found: dict[AdaptationConfig, Runs]) -> Iterator[TableRow]:
    """Yield rows of both data sets, with paired differences."""
    honest, best = {"raw": study.raw("bbc")}, {}
    for mode in MODES:
        hows = [how for how in found if how.mode == mode]
        honest[mode], index = left_out([found[how] for how in hows])
        best[mode] = hows[index]
    yield from rows("bbc", "adapted", honest, best)
    elsewhere = {m: study.runs(how, "rai", "bbc") for m, how in best.items()}
    yield from rows("bbc", "elsewhere", {"raw": study.raw("bbc")} | elsewhere, best)
    for kind, learned in (("adapted", "rai"), ("elsewhere", "bbc")):
        runs = {m: study.runs(how, learned, "rai") for m, how in best.items()}
        yield from rows("rai", kind, {"raw": study.raw("rai")} | runs, best)
    for name in SETS:
        for baseline, values in compute_baselines(study.raw(name)[0]).items():
            yield {"films": name, "vectors": baseline, "macro/ap": values["macro/ap"]}


def rows(
    films: str, kind: str, runs: dict[str, Runs], best: dict[str, AdaptationConfig]
) -> Iterator[TableRow]:
    """Yield the macro AP of each mode, and its differences from the modes before it."""
    for row in build_paired_rows(runs, ("raw", *MODES), column="vectors"):
        mode = row["vectors"]
        if mode != "raw" or kind == "adapted":
            chosen = best.get(mode)
            more = dict(m=chosen.neighbours, temperature=chosen.temperature) if chosen else {}
            name = f"{mode}, {kind}" if chosen else mode
            yield {"films": films} | row | {"vectors": name} | more


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--part", default="0/1", metavar="I/N")
    parser.add_argument("--rai", action="store_true", help="write rai.csv, and stop")
    parser.add_argument("--alone", action="store_true", help="write alone.csv, and stop")
    parser.add_argument(
        "--vectors", type=Path, metavar="NPZ", help="write adapted embeddings, and stop"
    )
    args = parser.parse_args()
    if not os.environ.get("VUJAX_DATA"):
        raise SystemExit("set VUJAX_DATA to the folder that holds the real data")
    index, parts = map(int, args.part.split("/"))
    study = Study(Path(os.environ["VUJAX_DATA"]), args.work, args.seeds, (index, parts))
    if args.rai:
        write_rows(RESULTS, "rai", list(rai(study)), "RAI; 95% t intervals over films.")
        return
    if args.alone:
        write_rows(RESULTS, "alone", list(alone(study.films["bbc"])), about=ALONE)
        return
    if args.vectors:
        write_vectors(study, args.vectors)
        return
    found = {how: study.runs(how, "bbc", "bbc") for how in grid()}
    if parts > 1:
        return
    write_rows(RESULTS, "grid", [_grid_row(how, runs) for how, runs in found.items()])
    result = list(table(study, found))
    write_rows(RESULTS, "table", result)
    lines = [
        (f"{row['films']}: {row['vectors']}", row["macro/ap"], row["low"], row["high"])
        for row in result
        if "low" in row
    ]
    write_intervals(RESULTS / "plot.svg", "Macro AP without labels", lines)
    for row in result:
        print(json.dumps(row))


def rai(study: Study) -> Iterator[TableRow]:
    """Yield RAI's rows with the settings that BBC chose, from the committed grid."""
    grid_rows = json.loads((RESULTS / "grid.json").read_text())
    best = {
        mode: AdaptationConfig(
            mode=mode, neighbours=row["neighbours"], temperature=row["temperature"]
        )
        for mode in MODES
        for row in [max((r for r in grid_rows if r["mode"] == mode), key=lambda r: r["macro/ap"])]
    }
    runs = {mode: study.runs(how, "rai", "rai") for mode, how in best.items()}
    yield from rows("rai", "adapted", {"raw": study.raw("rai")} | runs, best)


def _grid_row(how: AdaptationConfig, runs: Runs) -> TableRow:
    (row,) = build_paired_rows({how.mode: runs}, (), column="mode")
    return row | dict(neighbours=how.neighbours, temperature=how.temperature)


def write_vectors(study: Study, path: Path) -> None:
    """Write embeddings of all films, adapted to all without labels, for boundary_heads.py."""
    films = [film for name in SETS for film in study.films[name]]
    network = train_adapter([vectors(film) for film in films], AdaptationConfig())
    arrays = {film.film: network(vectors(film)) for film in films}

    def save(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)

    write_atomically(path, save)


if __name__ == "__main__":
    main()
