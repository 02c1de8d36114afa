"""Table and plot of movie_candidates.py, from its cached runs, closed forms and the theory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiments import movie_guides
from experiments.movie_candidates import (
    OUTPUTS,
    PAIRS,
    embed_theory,
    evaluate,
    name_run,
)
from vujax.evals.metrics.bootstrap import Interval, bootstrap, paired_bootstrap, student_interval
from vujax.training.sweep.tables import TableRow, write_intervals, write_rows

RESULTS = Path(__file__).with_name("results") / "movie_candidates"
RANKED = ("same genre", "co-watched")
SEEDS = 5
ABOUT = (
    "LVU's validation movies. Ranked by genre and co-watching: mAP in percent; LVU's tasks: "
    "accuracy in percent of covered clips; own labels: percent of a clip's labels that its nearest "
    "clip of another movie has. 95% over seeds and movies; n 0: all permitted scenes."
)
Values = dict[str, np.ndarray]


def read_runs(work: Path, guide: str, candidates: int, output: str) -> list[Values]:
    """Return the values of each finished seed, by measure."""
    paths = [work / f"{name_run(guide, candidates, seed)}.npz" for seed in range(SEEDS)]
    runs = [np.load(path) for path in paths if path.exists()]
    prefix = f"{output}/"
    return [
        {key.removeprefix(prefix): run[key] for key in run.files if key.startswith(prefix)}
        for run in runs
    ]


def select(runs: list[Values], measure: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return values in percent `[seeds n]`, and their clusters, movies, or None."""
    if measure in movie_guides.TASKS:
        covered = runs[0][f"{measure}/covered"]
        hits = np.stack([run[f"{measure}/hits"][covered] for run in runs])
        return 100.0 * hits, runs[0][f"{measure}/movies"][covered]
    key = f"{measure}/ap" if measure in RANKED else f"{measure}/share"
    return 100.0 * np.stack([run[key] for run in runs]), None


def judge_linear(work: Path) -> dict[str, list[Values]]:
    """Evaluate the closed form of each guide, the theory's curve, and the bag of labels."""
    from vujax.methods.linear_guide import read_features

    judged = movie_guides.judged_scenes()
    bags = read_features(judged)
    named = (("bag of labels", bags), *embed_theory(work, bags))
    return {name: [evaluate(judged, vectors, bags)] for name, vectors in named}


def collect(work: Path) -> dict[str, list[Values]]:
    """Return the runs of each row of the table."""
    networks = {
        f"{guide}, n {n}, {output}": runs
        for guide, n in PAIRS
        for output in OUTPUTS
        if (runs := read_runs(work, guide, n, output))
    }
    if not networks:
        raise FileNotFoundError(f"{work} has no finished run: run --part run first")
    return judge_linear(work) | networks


def write_tables(work: Path) -> None:
    """Write the table and the plot."""
    found = collect(work)
    bag = found["bag of labels"]
    rows = [row for name, runs in found.items() for row in build_rows(name, runs, bag)]
    write_rows(RESULTS, "table", rows, ABOUT)
    lines = [
        (name, *score(runs, "same genre"))
        for name, runs in found.items()
        if "projection" not in name
    ]
    write_intervals(RESULTS / "plot.svg", "same genre, mAP in percent (95% over movies)", lines)


def build_rows(name: str, runs: list[Values], bag: list[Values]) -> Iterator[TableRow]:
    """Yield a row per measure of these runs."""
    for measure in (*RANKED, *movie_guides.TASKS, "own labels"):
        if not any(key.startswith(f"{measure}/") for key in runs[0]):
            continue
        values, clusters = select(runs, measure)
        row: dict[str, Any] = {"run": name, "measure": measure, "seeds": len(runs)}
        row |= dict(zip(("score", "low", "high"), score(runs, measure), strict=True))
        theirs = np.broadcast_to(select(bag, measure)[0], values.shape)
        less = paired_bootstrap(values, theirs, clusters=clusters)
        yield row | dict(zip(("less bag", "less low", "less high"), less, strict=True))


def score(runs: list[Values], measure: str) -> Interval:
    """Return the mean with its interval over seeds and movies."""
    values, clusters = select(runs, measure)
    return bootstrap(values, clusters=clusters)


def print_comparisons(work: Path) -> None:
    """Print the same-genre mAP of what ran with several seeds, with t intervals over movies."""
    from vujax.methods.linear_guide import read_features

    judged = movie_guides.judged_scenes()
    bag = 100 * movie_guides.movie_ranks(judged, read_features(judged))["same genre/ap"]
    for output in OUTPUTS:
        runs = {pair: read_runs(work, *pair, output) for pair in PAIRS}
        means = {pair: select(found, "same genre")[0] for pair, found in runs.items() if found[1:]}
        same = means[("same", 1)].mean(axis=0)
        for (guide, n), values in means.items():
            less = (values.mean(axis=0) - other for other in (0.0, bag, same))
            scores = (student_interval(each) for each in less)
            found = (f"{x.estimate:.1f} [{x.low:.1f}, {x.high:.1f}]" for x in scores)
            seeds = ", ".join(f"{value:.1f}" for value in values.mean(axis=1))
            print(f"{guide}, n {n}, {output}: {'; '.join(found)}; seeds {seeds}")
