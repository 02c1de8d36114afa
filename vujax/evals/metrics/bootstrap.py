"""Confidence intervals of accuracies and of differences between two models.

Seeded numpy, without an assumption of normality where the data can be resampled.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

CHUNK = 200  # resamples held at once


class Interval(NamedTuple):
    """An estimate between two bounds."""

    estimate: float
    low: float
    high: float


def wilson_interval(successes: float, n: int, *, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion (Wilson 1927).

    It is sound near 0 and 1 and for small n.

    Raises:
      ValueError: `n` is not positive or `successes` is outside [0, n].
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} trials are not a proportion")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p = float(successes) / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(p, max(centre - half, 0.0), min(centre + half, 1.0))


def student_interval(values: np.ndarray, *, level: float = 0.95) -> Interval:
    """Return Student's t interval of the mean of `values` `[n]`, such as seed scores.

    With one value the bounds are infinite: a single run has no spread to estimate.
    """
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, -math.inf, math.inf)
    from scipy.special import stdtrit  # scipy comes with jax; importing it takes a moment

    quantile = stdtrit(len(values) - 1, 0.5 + level / 2)
    half = float(quantile * values.std(ddof=1) / math.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def bootstrap(
    values: np.ndarray,
    *,
    clusters: np.ndarray | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the percentile bootstrap of the mean of per-example values (Efron 1979).

    Args:
      values: `[examples]`, or `[seeds examples]` when several runs scored the same examples. Then
        seeds and examples are both drawn with replacement, independently (the pigeonhole bootstrap,
        Owen 2007, arXiv:0712.1111: on the cautious side). With few seeds that still understates
        the spread of seeds: print `student_interval` over the seeds' means beside it.
      clusters: `[examples]`, names or numbers of the examples' clusters, such as their movies.
        Whole clusters are then drawn in place of examples: right where the examples of one are
          similar.
        None: each example is one.
      level: of confidence.
      resamples: number of bootstrap samples.
      seed: of the resampling; the same seed gives the same interval.

    Raises:
      ValueError: the number of clusters differs from the number of examples.
    """
    grid = np.atleast_2d(np.asarray(values, np.float64))
    sums, sizes = _by_cluster(grid, clusters)
    seeds, drawn = sums.shape
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, resamples, CHUNK):
        count = min(CHUNK, resamples - start)
        seed_counts = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=count)
        cluster_counts = rng.multinomial(drawn, np.full(drawn, 1 / drawn), size=count)
        totals = ((seed_counts @ sums) * cluster_counts).sum(1)
        means.append(totals / (seeds * (cluster_counts @ sizes)))
    low, high = np.quantile(np.concatenate(means), [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(grid.mean()), float(low), float(high))


def _by_cluster(grid: np.ndarray, clusters: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return sums [seeds clusters] and sizes [clusters] of values [seeds examples]."""
    if clusters is None:
        return grid, np.ones(grid.shape[1])
    _, cluster = np.unique(clusters, return_inverse=True)
    if len(cluster) != grid.shape[1]:
        raise ValueError(f"{len(cluster)} clusters are given for {grid.shape[1]} examples")
    mine = np.eye(cluster.max() + 1)[cluster]
    return grid @ mine, mine.sum(0)


def paired_bootstrap(
    ours: np.ndarray,
    theirs: np.ndarray,
    *,
    clusters: np.ndarray | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return `bootstrap` of the mean difference `ours - theirs`, example by example.

    Both are `[examples]` or `[seeds examples]`: the same examples, and seeds that share as much as
    possible (initial parameters, data order). Pairing removes the examples' own difficulty, so the
    interval is narrower than two separate ones.

    Raises:
      ValueError: the shapes differ.
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(f"paired values must have one shape, got {ours.shape} and {theirs.shape}")
    options = dict(clusters=clusters, level=level, resamples=resamples, seed=seed)
    return bootstrap(ours - theirs, **options)
