"""Tables and the plot of movie_guides.py, from its cached runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiments.movie_guides import GUIDES, SETTINGS, TASKS, chosen, tuned
from vujax.evals.metrics.bootstrap import Interval, bootstrap, paired_bootstrap
from vujax.training.sweep.tables import TableRow, write_intervals, write_rows

RESULTS = Path(__file__).with_name("results") / "movie_guides"
CONTROLS = ("untrained", "augmentation", "random", "all")
RANKED = ("same genre", "co-watched")
ABOUT = (
    "LVU's validation lists, accuracy in percent, and validation movies ranked for each other, "
    "mAP in percent. 95% over seeds and movies. Covered clips alone; "
    "'all': clips without MovieCLIP's labels are answered by the constant."
)
TUNE_ABOUT = "Pool movies that were left out, ranked by genre: mAP in percent; one seed each."
Values = tuple[np.ndarray, np.ndarray | None]  # [seeds n], clusters [n]


class Results:
    """Results of the cached runs."""

    def __init__(self, work: Path, seeds: int) -> None:
        """Read the runs of each guide, seed after seed until one is missing."""
        self.runs = {guide: list(_runs(work, guide, seeds)) for guide in GUIDES}
        if missing := next((guide for guide, runs in self.runs.items() if not runs), None):
            raise FileNotFoundError(f"{work} has no run of {missing}: run --part learn first")

    def task(self, guide: str, name: str) -> Values:
        """Return hits of covered clips, in percent, and their movies."""
        runs = self.runs[guide]
        there = runs[0][f"{name}/covered"]
        hits = np.stack([run[f"{name}/hits"][there] for run in runs])
        return 100 * hits, runs[0][f"{name}/movies"][there]

    def ranked(self, guide: str, name: str) -> Values:
        """Return average precisions by movie, in percent."""
        return 100 * np.stack([run[f"{name}/ap"] for run in self.runs[guide]]), None

    def values(self, guide: str, name: str) -> Values:
        """Return the values of a task or of a ranking."""
        return self.task(guide, name) if name in TASKS else self.ranked(guide, name)


def _runs(work: Path, guide: str, seeds: int) -> Iterator[Any]:
    for seed in range(seeds):
        path = work / f"{guide}-{seed}.npz"
        if not path.exists():
            return
        yield np.load(path)


def write_tables(work: Path, seeds: int) -> None:
    """Write the tables and the plot of `movie_guides.py`."""
    write_rows(RESULTS, "tune", list(tune_rows(work)), f"{TUNE_ABOUT} Chosen: {chosen(work)}.")
    found = Results(work, seeds)
    rows = [row for name in (*TASKS, *RANKED) for row in rows_of(found, name)]
    write_rows(RESULTS, "table", rows, ABOUT)
    lines = [
        (f"{name}: union - {other}", *less(found, "union", other, name))
        for name in (*RANKED, *TASKS)
        for other in CONTROLS
    ]
    write_intervals(RESULTS / "plot.svg", "guided by the union less controls, points (95%)", lines)


def tune_rows(work: Path) -> Iterator[TableRow]:
    """Yield a row per setting."""
    for setting in SETTINGS:
        found = {guide: 100 * value for guide, value in tuned(setting, work).items()}
        yield {"setting": setting} | found | {"mean": float(np.mean(list(found.values())))}


def rows_of(found: Results, name: str) -> Iterator[TableRow]:
    """Yield a row per guide, and those of the baselines without embeddings."""
    for guide in GUIDES:
        values, movies = found.values(guide, name)
        row: dict[str, object] = {"judged by": name, "guide": guide}
        row |= _named("score", bootstrap(values, clusters=movies))
        row |= {"seeds": len(values), "n": values.shape[1]}
        if name in TASKS:
            runs = found.runs[guide]
            row["of"] = len(runs[0][f"{name}/hits"])
            row["all"] = 100 * float(np.mean([run[f"{name}/hits"] for run in runs]))
        for other in ("labels", *CONTROLS):
            if guide not in ("labels", other):
                row |= _named(f"less {other}", less(found, guide, other, name))
        yield row
    yield {"judged by": name, "guide": "constant" if name in TASKS else "chance"} | floor(
        found, name
    )


def less(found: Results, guide: str, other: str, name: str) -> Interval:
    """Compute the paired difference, clip by clip or movie by movie, seed by seed."""
    ours, movies = found.values(guide, name)
    theirs, _ = found.values(other, name)
    if len(theirs) > 1:  # seed by seed, as many as both have
        both = min(len(ours), len(theirs))
        ours, theirs = ours[:both], theirs[:both]
    return paired_bootstrap(ours, np.broadcast_to(theirs, ours.shape), clusters=movies)


def floor(found: Results, name: str) -> TableRow:
    """Return the score of the most frequent class of the train list, or of equal scores."""
    run = found.runs["labels"][0]
    if name in RANKED:
        return {"score": 100 * float(run[f"{name}/chance"].mean())}
    constant = 100 * run[f"{name}/constant"]
    return {"score": float(constant[run[f"{name}/covered"]].mean()), "all": float(constant.mean())}


def _named(name: str, interval: Interval) -> dict[str, float]:
    return dict(zip((name, f"{name} low", f"{name} high"), interval, strict=True))
