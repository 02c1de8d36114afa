"""Intervals of scores and of differences between scores of the same clips, and their table."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vujax.evals.lvu.score import TaskScore
from vujax.evals.metrics.bootstrap import Interval, bootstrap, paired_bootstrap, student_interval

BY = ("clips", "movies")


def score_interval(runs: Sequence[TaskScore], *, by: str = "clips", **options: Any) -> Interval:
    """Return the bootstrap interval of the score on covered clips.

    Several runs are resampled too.

    Args:
      runs: of one task, with embeddings of one model trained with several seeds.
      by: 'clips', or 'movies': whole movies are drawn, since clips of one are similar.
      **options: of `metrics.bootstrap.bootstrap`.

    Raises:
      ValueError: runs are of different clips.
    """
    covered = _common(runs)
    return bootstrap(_hits(runs)[:, covered], clusters=_clusters(runs[0], covered, by), **options)


def seed_interval(runs: Sequence[TaskScore]) -> Interval:
    """Return Student's interval of the runs' scores; infinite for a single run."""
    return student_interval(np.array([run.score for run in runs]))


def paired_interval(
    ours: Sequence[TaskScore],
    theirs: Sequence[TaskScore],
    *,
    by: str = "clips",
    **options: Any,
) -> tuple[Interval, int]:
    """Return the bootstrap interval of `ours - theirs`, and the number of clips.

    Differences are taken clip by clip, on the clips that both cover.

    Args:
      ours: runs of one task.
      theirs: as many runs of it; or one, which is compared with each of ours.
      by: see `score_interval`.
      **options: of `metrics.bootstrap.paired_bootstrap`.

    Raises:
      ValueError: they are of different clips, or differ in number.
    """
    if len(theirs) not in (1, len(ours)):
        raise ValueError(f"{len(ours)} runs cannot be paired with {len(theirs)}; give as many")
    covered = _common([*ours, *theirs])
    others = np.broadcast_to(_hits(theirs), (len(ours), len(covered)))
    clusters = _clusters(ours[0], covered, by)
    hits = _hits(ours)[:, covered]
    result = paired_bootstrap(hits, others[:, covered], clusters=clusters, **options)
    return result, int(covered.sum())


def constant_interval(runs: Sequence[TaskScore], *, by: str = "clips") -> Interval:
    """Return the bootstrap interval of the score less the constant's.

    It is over covered clips.
    """
    covered = _common(runs)
    constant = np.stack([run.constant for run in runs])
    clusters = _clusters(runs[0], covered, by)
    return paired_bootstrap(_hits(runs)[:, covered], constant[:, covered], clusters=clusters)


def _hits(runs: Sequence[TaskScore]) -> np.ndarray:
    return np.stack([run.hits for run in runs])


def _common(runs: Sequence[TaskScore]) -> np.ndarray:
    """Return the clips that all runs cover, bool `[n]`."""
    if len({(run.task, run.clips) for run in runs}) != 1:
        raise ValueError("scores of different tasks or lists cannot be compared")
    covered = np.all([run.covered for run in runs], axis=0)
    if not covered.any():
        raise ValueError(f"no clip of {runs[0].task} has embeddings in all runs")
    return covered


def _clusters(run: TaskScore, covered: np.ndarray, by: str) -> np.ndarray | None:
    if by not in BY:
        raise ValueError(f"unknown by {by!r}; expected one of: {', '.join(BY)}")
    return np.array(run.movies)[covered] if by == "movies" else None


HEADER = (
    *("task", "of", "clips", "train clips", "score", "95% by clips", "95% by movies"),
    *("over seeds", "constant, same clips", "less constant, by movies", "new movies: score"),
    *("all clips: score", "all clips: constant", "all clips: best constant", "chance"),
)
PAIRS = ("task", "clips", "difference", "95% by clips", "95% by movies")
UNITS = (
    "Classes: accuracy in percent. like_ratio and view_count: mean squared error, less is better. "
    "Clips: with vectors / in the list. New movies: those that are not in the train list. All "
    "clips: those without vectors are answered by the constant, the commonest class or the mean of "
    "the train list. Best constant: the commonest class or the mean of the reported list itself, "
    "which no constant can beat."
)


def format_table(rows: Sequence[tuple[str, Sequence[TaskScore]]]) -> str:
    """Format a Markdown table.

    Args:
      rows: the name of each row's embeddings, and its runs, of one task and several seeds.
    """
    return _markdown(HEADER, [_cells(name, runs) for name, runs in rows])


def format_pair_table(rows: Sequence[tuple[Sequence[TaskScore], Sequence[TaskScore]]]) -> str:
    """Format a Markdown table of differences, ours less theirs."""
    table_rows = []
    for ours, theirs in rows:
        metric = ours[0].metric
        by = {which: paired_interval(ours, theirs, by=which) for which in ("clips", "movies")}
        difference, count = by["clips"]
        cells = (
            format_score(difference.estimate, metric, "+"),
            *(_bounds(by[k][0], metric) for k in by),
        )
        table_rows.append((ours[0].task, f"{count}/{len(ours[0].clips)}", *cells))
    return _markdown(PAIRS, table_rows)


def format_notes(runs: Sequence[TaskScore]) -> list[str]:
    """Return the notes that explain the scores, a line each."""
    lines = [UNITS]
    for run in runs:
        if run.shared.any():
            shared = len(set(np.array(run.movies)[run.shared]))
            lines.append(
                f"{run.task}: {shared} of {len(set(run.movies))} movies are in the train list "
                "too, with other clips."
            )
        if run.left_out:
            lines.append(
                f"{run.task}: {run.left_out} clips of the train list are in the reported list, and "
                "were not learned from."
            )
    return lines


def row_to_json(name: str, runs: Sequence[TaskScore]) -> dict[str, Any]:
    """Return all values of a row, with the hits of each clip, as plain values."""
    first = runs[0]
    return dict(
        of=name,
        task=first.task,
        metric=first.metric,
        covered=int(first.covered.sum()),
        total=len(first.clips),
        train=list(first.train),
        baselines=first.baselines,
        shared=first.shared.tolist(),
        left_out=first.left_out,
        clips=list(first.clips),
        movies=list(first.movies),
        constant=first.constant.tolist(),
        runs=[
            dict(
                score=run.score,
                score_of_all=run.score_on_all,
                l2=run.l2,
                hits=run.hits.tolist(),
                covered=run.covered.tolist(),
            )
            for run in runs
        ],
    )


def format_score(value: float, metric: str, sign: str = "") -> str:
    """Format a score for the table."""
    if np.isnan(value):
        return ""
    return f"{100 * value:{sign}.1f}" if metric == "top1" else f"{value:{sign}.3f}"


def _cells(name: str, runs: Sequence[TaskScore]) -> tuple[str, ...]:
    first, metric = runs[0], runs[0].metric
    is_covered = bool(np.all([run.covered for run in runs], axis=0).any())
    mean = lambda values: format_score(float(np.mean(values)), metric)  # noqa: E731
    less = constant_interval(runs, by="movies") if is_covered else None
    return (
        first.task,
        name,
        f"{int(first.covered.sum())}/{len(first.clips)}",
        f"{first.train[0]}/{first.train[1]}",
        mean([run.score for run in runs]),
        *(
            _bounds(score_interval(runs, by=by), metric) if is_covered else ""
            for by in ("clips", "movies")
        ),
        _bounds(seed_interval(runs), metric) if len(runs) > 1 else "",
        mean([run.baselines["constant"]["covered"] for run in runs]),
        f"{format_score(less.estimate, metric, '+')} {_bounds(less, metric)}" if less else "",
        mean([run.score_on_new for run in runs]),
        mean([run.score_on_all for run in runs]),
        format_score(first.baselines["constant"]["all"], metric),
        format_score(first.baselines["best constant"]["all"], metric),
        format_score(first.chance, metric),
    )


def _bounds(interval: Interval, metric: str) -> str:
    return f"[{format_score(interval.low, metric)}, {format_score(interval.high, metric)}]"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
