"""Intervals of scores, and of differences between scores of the same clips."""

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
