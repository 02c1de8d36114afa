"""Intervals of scores, and of differences between the scores of the same clips."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vujax.evals.lvu.score import TaskScore
from vujax.evals.metrics.bootstrap import Interval, bootstrap, paired_bootstrap, student_interval

BY = ("clips", "movies")


def score_interval(runs: Sequence[TaskScore], *, by: str = "clips", **options: Any) -> Interval:
    """Bootstrap of the score on covered clips, over runs too if there are several.

    Args:
      runs: of one task, with vectors of one model trained with several seeds.
      by: 'clips', or 'movies': whole movies are drawn, since clips of one are alike.
      **options: of `intervals.bootstrap`.

    Raises:
      ValueError: runs are of different clips.
    """
    there = _common(runs)
    return bootstrap(_hits(runs)[:, there], clusters=_clusters(runs[0], there, by), **options)


def seed_interval(runs: Sequence[TaskScore]) -> Interval:
    """Student's interval of the runs' scores; infinite for a single run."""
    return student_interval(np.array([run.score for run in runs]))


def paired_interval(
    ours: Sequence[TaskScore],
    theirs: Sequence[TaskScore],
    *,
    by: str = "clips",
    **options: Any,
) -> tuple[Interval, int]:
    """Bootstrap of `ours - theirs`, clip by clip, and on how many clips: those that both cover.

    Args:
      ours: runs of one task.
      theirs: as many runs of it; or one, which is set beside each of ours.
      by: see `interval`.
      **options: of `intervals.paired_bootstrap`.

    Raises:
      ValueError: they are of different clips, or differ in number.
    """
    if len(theirs) not in (1, len(ours)):
        raise ValueError(f"{len(ours)} runs cannot be paired with {len(theirs)}: give as many")
    there = _common([*ours, *theirs])
    others = np.broadcast_to(_hits(theirs), (len(ours), len(there)))
    pair = _hits(ours)[:, there], others[:, there]
    found = paired_bootstrap(*pair, clusters=_clusters(ours[0], there, by), **options)
    return found, int(there.sum())


def constant_interval(runs: Sequence[TaskScore], *, by: str = "clips") -> Interval:
    """Bootstrap of the score less the constant's, on covered clips."""
    there = _common(runs)
    pair = _hits(runs)[:, there], np.stack([run.constant for run in runs])[:, there]
    return paired_bootstrap(*pair, clusters=_clusters(runs[0], there, by))


def _hits(runs: Sequence[TaskScore]) -> np.ndarray:
    return np.stack([run.hits for run in runs])


def _common(runs: Sequence[TaskScore]) -> np.ndarray:
    """Which clips all runs cover."""
    if len({(run.task, run.clips) for run in runs}) != 1:
        raise ValueError("scores of different tasks or lists cannot be set beside each other")
    there = np.all([run.covered for run in runs], axis=0)
    if not there.any():
        raise ValueError(f"no clip of {runs[0].task} has vectors in all runs")
    return there


def _clusters(run: TaskScore, there: np.ndarray, by: str) -> np.ndarray | None:
    if by not in BY:
        raise ValueError(f"by is {by!r}: use one of {', '.join(BY)}")
    return np.array(run.movies)[there] if by == "movies" else None
