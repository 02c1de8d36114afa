"""Scores of tags: average precision, F1, baselines and intervals.

    result = score_tags(scores, truth, thresholds=thresholds)
    result.summary()              # {'map': ..., 'micro_map': ..., 'f1': ..., 'micro_f1': ..., ...}
    result.ap, result.support     # of each tag
    map_interval(scores, truth, movies, against=others)

Scores and truth are `[n t]`, a column for each tag; an example may have several. An example of
which it is not known whether it has a tag counts nowhere. Average precision is that of
`vujax.evals.metrics.classification`, ties as in scikit-learn.
"""

from typing import NamedTuple

import numpy as np

from vujax.evals.metrics.bootstrap import CHUNK, Interval
from vujax.evals.metrics.classification import (
    average_precision,
    last_tied_positions,
    precision_recall_f1,
)


class TagScores(NamedTuple):
    """Scores of each tag, `[t]` each, and of all example-tag pairs together.

    Attributes:
      ap: average precision; NaN for a tag that no example has.
      f1: at the tag's threshold, likewise NaN; all NaN without thresholds.
      support: number of examples that have the tag.
      known: number of examples of which it is known whether they have it.
      micro_ap: average precision of all known pairs in one ranking.
      micro_f1: of all known pairs.
    """

    ap: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    known: np.ndarray
    micro_ap: float
    micro_f1: float

    @property
    def random_ap(self) -> np.ndarray:
        """The average precision of equal scores, `[t]`: the share of tagged examples."""
        return self.support / np.maximum(self.known, 1)

    def summary(self) -> dict[str, float]:
        """Average over the tags that some example has, and over pairs (`micro_...`)."""
        present = self.support > 0
        mean = lambda x: float(x[present].mean()) if present.any() else float("nan")  # noqa: E731
        return {
            "map": mean(self.ap),
            "micro_map": self.micro_ap,
            "f1": mean(self.f1),
            "micro_f1": self.micro_f1,
            "tags": float(present.sum()),
        }


def score_tags(
    scores: np.ndarray,
    truth: np.ndarray,
    *,
    known: np.ndarray | None = None,
    thresholds: np.ndarray | None = None,
) -> TagScores:
    """Score a prediction.

    Args:
      scores: float `[n t]`, higher is more likely.
      truth: bool `[n t]`.
      known: bool `[n t]`; None: all is known.
      thresholds: `[t]`, chosen on other examples: a score that reaches it is a predicted tag.

    Raises:
      ValueError: the shapes differ, or a known score is NaN.
    """
    scores, truth, known = _checked(scores, truth, known)
    tags = truth.shape[1]
    columns = [(scores[known[:, t], t], truth[known[:, t], t]) for t in range(tags)]
    f1, micro_f1 = np.full(tags, np.nan), float("nan")
    if thresholds is not None:
        predicted = scores >= thresholds
        rows = [(predicted[known[:, t], t], truth[known[:, t], t]) for t in range(tags)]
        f1 = np.array([precision_recall_f1(called, right)[2] for called, right in rows])
        micro_f1 = precision_recall_f1(predicted[known], truth[known])[2]
    return TagScores(
        np.array([average_precision(score, right) for score, right in columns]),
        f1,
        (truth & known).sum(0),
        known.sum(0),
        average_precision(scores[known], truth[known]),
        micro_f1,
    )


def _checked(
    scores: np.ndarray, truth: np.ndarray, known: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, truth = np.asarray(scores, np.float64), np.asarray(truth, bool)
    known = np.ones(truth.shape, bool) if known is None else np.asarray(known, bool)
    if truth.ndim != 2 or not scores.shape == truth.shape == known.shape:
        shapes = [list(x.shape) for x in (scores, truth, known)]
        raise ValueError(f"scores, truth and known must be [n t] each, got {shapes}")
    if np.isnan(scores[known]).any():
        row, tag = np.argwhere(np.isnan(scores) & known)[0].tolist()
        raise ValueError(f"the score of example {row} for tag {tag} is NaN; check its features")
    return scores, truth, known


def choose_thresholds(
    scores: np.ndarray, truth: np.ndarray, *, known: np.ndarray | None = None
) -> np.ndarray:
    """Return the thresholds of highest F1, float64 `[t]`; of equal ones the highest.

    A threshold lies half-way between the lowest score of a predicted example and the one below (0
    at the end), so that rounding changes no decision. A tag that no example has gets infinity.

    Args:
      scores: `[n t]` within 0..1.
      truth: bool `[n t]`.
      known: bool `[n t]`; None: all is known.
    """
    scores, truth, known = _checked(scores, truth, known)
    columns = zip(scores.T, truth.T, known.T, strict=True)
    return np.array([_threshold(score[mine], right[mine]) for score, right, mine in columns])


def _threshold(scores: np.ndarray, right: np.ndarray) -> float:
    if not right.any():
        return float("inf")
    order = np.argsort(-scores, kind="stable")
    last = last_tied_positions(scores[order])
    f1 = 2 * np.cumsum(right[order])[last] / (last + 1 + right.sum())
    levels = np.append(scores[order][last], 0.0)
    best = int(f1.argmax())  # the first of equal ones
    return float((levels[best] + levels[best + 1]) / 2)


def compute_tag_baselines(
    truth: np.ndarray, shares: np.ndarray, *, known: np.ndarray | None = None
) -> dict[str, dict[str, float]]:
    """Return the scores of two baselines that need no features.

    'chance' gives equal scores, 'prior' each tag's share in training. They differ in `micro_map`
    alone, which rewards knowing the common tags. F1 is that of predicting the tag for every
    example.

    Args:
      truth: bool `[n t]`.
      shares: `[t]`, of the training examples that have the tag.
      known: bool `[n t]`; None: all is known.
    """
    every = np.zeros(truth.shape[1])
    rows = {"chance": np.ones(truth.shape), "prior": np.broadcast_to(shares, truth.shape)}
    return {
        name: score_tags(scores, truth, known=known, thresholds=every).summary()
        for name, scores in rows.items()
    }


def compute_example_ap(
    scores: np.ndarray, truth: np.ndarray, *, known: np.ndarray | None = None
) -> np.ndarray:
    """Return average precision of each example's ranking of the tags, float64 `[n]`.

    A value for each example, for `bootstrap.paired_bootstrap`; NaN where it has no tag. The mean is
    scikit-learn's 'samples' average.
    """
    scores, truth, known = _checked(scores, truth, known)
    rows = zip(scores, truth, known, strict=True)
    return np.array([average_precision(score[mine], right[mine]) for score, right, mine in rows])


def map_interval(
    scores: np.ndarray,
    truth: np.ndarray,
    groups: np.ndarray,
    *,
    against: np.ndarray | None = None,
    known: np.ndarray | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the bootstrap interval of the mean average precision.

    Whole movies are drawn with replacement, since the examples of one are similar (the cluster
    bootstrap, Field and Welsh 2007). A tag that a draw lacks is left out of that draw's mean.

    Args:
      scores: `[n t]`, or `[seeds n t]` of several runs: then seeds are drawn too, independently of
        the movies (Owen 2007, see `bootstrap.bootstrap`).
      truth: bool `[n t]`.
      groups: `[n]`, the movie of each example.
      against: scores of another system, as many; then it is the interval of the paired difference,
        `scores` less `against`.
      known: bool `[n t]`; None: all is known.
      level: of confidence.
      resamples: number of bootstrap samples.
      seed: of the resampling.
    """
    _, which = np.unique(groups, return_inverse=True)
    count = int(which.max()) + 1
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    draws = np.concatenate([np.ones((1, count), draws.dtype), draws])  # the first: as it is
    means = _each_seed(scores, truth, known, which, draws)
    if against is not None:
        means = means - _each_seed(against, truth, known, which, draws)
    seeds = len(means)
    weights = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds
    weights = np.concatenate([np.full((1, seeds), 1 / seeds), weights])
    means = np.einsum("sd,ds->d", means, weights)
    low, high = np.nanquantile(means[1:], [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(means[0]), float(low), float(high))


def _each_seed(
    scores: np.ndarray,
    truth: np.ndarray,
    known: np.ndarray | None,
    which: np.ndarray,
    draws: np.ndarray,
) -> np.ndarray:
    """Return mean average precisions `[seeds draws]`."""
    runs = scores[None] if np.ndim(scores) == 2 else scores
    return np.stack([_resampled_map(_checked(run, truth, known), which, draws) for run in runs])


def _resampled_map(
    checked: tuple[np.ndarray, np.ndarray, np.ndarray], which: np.ndarray, draws: np.ndarray
) -> np.ndarray:
    """Return mean AP of each draw, `[r]`, every example counted as often as its movie."""
    scores, truth, known = checked
    total, tags = np.zeros(len(draws)), np.zeros(len(draws), np.int64)
    for score, right, mine in zip(scores.T, truth.T, known.T, strict=True):
        if not (right & mine).any():
            continue
        place = np.flatnonzero(mine)[np.argsort(-score[mine], kind="stable")]
        last = last_tied_positions(score[place])
        for rows in (slice(i, i + CHUNK) for i in range(0, len(draws), CHUNK)):
            times = draws[rows][:, which[place]]
            hits = np.cumsum(times * right[place], axis=1)[:, last]
            precision = hits / np.maximum(np.cumsum(times, axis=1)[:, last], 1)
            ap = (np.diff(hits, prepend=0) * precision).sum(1)
            has_hits = hits[:, -1] > 0
            total[rows] += np.where(has_hits, ap / np.maximum(hits[:, -1], 1), 0)
            tags[rows] += has_hits
    return np.where(tags > 0, total / np.maximum(tags, 1), np.nan)
