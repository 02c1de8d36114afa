"""Tags from frozen features: a logistic probe for each, judged on unseen movies.

    out = hold_out_groups(movies, truth)              # some movies choose the penalty
    train, validation = examples.take(~out), examples.take(out)
    choice = fit_tag_probe(train, validation, mesh=mesh)
    scores = choice.probe.scores(features)            # probabilities [n t]

All tags are learned at once, by one program: their losses share no parameter, so the sum's minimum
is that of each. They share one penalty, that of the lowest loss on the validation split, which also
sets the thresholds. (With few labels average precision hardly depends on the penalty, and its noise
would choose: often so weak a penalty that all probabilities are 0 or 1.)
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh
from scipy.special import expit

from vujax.evals.folds import find_learnable_tags
from vujax.evals.logistic import LinearClassifier, Standardizer, fit_logistic
from vujax.evals.metrics.multilabel import choose_thresholds

TAG_GRID = tuple(float(l2) for l2 in np.logspace(-5, 2, 15))
"""Penalties per example; up to stronger ones than the probe's, since tags may have few examples."""


class TaggedFeatures(NamedTuple):
    """Features of examples and their tags.

    Attributes:
      features: float32 `[n d]`.
      truth: bool `[n t]`: the example has the tag.
      known: bool `[n t]`: it is known whether the example has the tag; others are neither examples
        nor counterexamples.
    """

    features: np.ndarray
    truth: np.ndarray
    known: np.ndarray

    def take(self, rows: np.ndarray, tags: np.ndarray | None = None) -> "TaggedFeatures":
        """Select some rows, and some of the tags."""
        tags = np.arange(self.truth.shape[1]) if tags is None else tags
        pick = lambda x: np.asarray(x)[rows][:, tags]  # noqa: E731
        return TaggedFeatures(np.asarray(self.features)[rows], pick(self.truth), pick(self.known))

    @property
    def shares(self) -> np.ndarray:
        """The share of known examples that have each tag, `[t]`."""
        return (self.truth & self.known).sum(0) / np.maximum(self.known.sum(0), 1)


class TagProbe(NamedTuple):
    """Logistic classifiers, one for each tag.

    Attributes:
      scale: shift and scale of the features, `[d]` each.
      linear: weights `[d t]` and bias `[t]`.
      thresholds: least probabilities `[t]` of a predicted tag.
    """

    scale: Standardizer
    linear: LinearClassifier
    thresholds: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Compute probabilities float64 `[n t]` of features `[n d]`."""
        return _probabilities(self.linear, self.scale(np.asarray(features, np.float32)))


class TagChoice(NamedTuple):
    """The penalty that validation chose, its probe, and the loss of each penalty."""

    l2: float
    probe: TagProbe
    losses: dict[float, float]


def fit_tag_probe(
    train: TaggedFeatures,
    validation: TaggedFeatures,
    *,
    mesh: Mesh,
    grid: Sequence[float] = TAG_GRID,
) -> TagChoice:
    """Learn the tags with every penalty of `grid` and return the best on `validation`.

    Penalties are tried from the strongest on, each starting from the one before. Of equal losses
    the stronger penalty wins.

    Args:
      train: examples to learn from.
      validation: examples that choose the penalty and the thresholds.
      mesh: examples are divided along 'data'.
      grid: penalties to try.

    Raises:
      ValueError: a tag has no positive or no negative example in a split, or a feature is not
        finite.
    """
    for name, split in (("to learn from", train), ("to validate with", validation)):
        _check(split, name)
    scale = Standardizer.fit(np.asarray(train.features, np.float32))
    features, held_out = scale(train.features), scale(validation.features)
    losses: dict[float, float] = {}
    best, linear = None, None
    for l2 in sorted(grid, reverse=True):
        linear = fit_tags(features, train.truth, train.known, l2=l2, mesh=mesh, start=linear)
        losses[l2] = compute_mean_loss(_probabilities(linear, held_out), validation)
        if best is None or losses[l2] < losses[best[0]]:
            best = (l2, linear)
    if best is None:
        raise ValueError("the grid of penalties is empty; give at least one")
    l2, linear = best
    scores = _probabilities(linear, held_out)
    thresholds = choose_thresholds(scores, validation.truth, known=validation.known)
    return TagChoice(l2, TagProbe(scale, linear, thresholds), losses)


def fit_tags(
    features: np.ndarray,
    truth: np.ndarray,
    known: np.ndarray,
    *,
    l2: float,
    mesh: Mesh,
    start: LinearClassifier | None = None,
    **solver: float,
) -> LinearClassifier:
    """Fit one logistic regression a tag to its known examples.

    It minimizes their mean binary cross-entropy + l2 / 2 * |weights|^2.

    Args:
      features: `[n d]`.
      truth: bool `[n t]`.
      known: bool `[n t]`, some of each tag.
      l2: penalty.
      mesh: examples are divided along 'data'.
      start: initial classifier.
      **solver: `max_steps`, `tolerance` of `linear_probe.fit_logistic`.
    """
    weights = known / known.sum(0)
    return fit_logistic(features, truth, weights, l2=l2, mesh=mesh, start=start, **solver)


def compute_mean_loss(scores: np.ndarray, split: TaggedFeatures) -> float:
    """Return the mean over the tags of the cross-entropy of scores `[n t]`, in nats."""
    right = np.maximum(np.where(split.truth, scores, 1 - scores), np.finfo(np.float64).tiny)
    weights = split.known / split.known.sum(0)
    return float(-(weights * np.log(right)).sum(0).mean())


def _probabilities(linear: LinearClassifier, features: np.ndarray) -> np.ndarray:
    return expit(linear.logits(features).astype(np.float64))


def _check(split: TaggedFeatures, name: str) -> None:
    if not np.isfinite(split.features).all():
        row = int(np.flatnonzero(~np.isfinite(split.features).all(1))[0])
        raise ValueError(f"the features of example {row} {name} are not finite; compute them again")
    bad = np.flatnonzero(~find_learnable_tags(split.truth, split.known))
    if len(bad) or not split.truth.shape[1]:
        subject = f"tag {bad[0]} has" if len(bad) else "there is no tag, so there are"
        raise ValueError(f"{subject} no examples or no counterexamples {name}; leave it out")
