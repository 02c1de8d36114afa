"""Tags from frozen vectors: a logistic probe for each tag, judged on movies that it has not seen.

    out = hold_out(movies, truth)                     # some movies choose the penalty
    train, validation = examples.take(~out), examples.take(out)
    choice = fit_tags(train, validation, mesh=mesh)
    scores = choice.probe.scores(features)            # probabilities [n t]

All tags are learned at once, by one program: their losses share no parameter, so the sum's minimum
is that of each. They share one penalty, that of the lowest loss on the validation part, which also
sets the thresholds. (With few labels average precision hardly depends on the penalty, and its noise
would choose: often so weak a penalty that all probabilities are 0 or 1.)

Parts of examples that share no movie.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import optax
from jax.sharding import Mesh
from scipy.special import expit

from vujax.evals.folds import find_learnable_tags
from vujax.evals.linear_probe import LinearClassifier, Standardizer, minimize
from vujax.evals.metrics.multilabel import choose_thresholds

TAG_GRID = tuple(float(l2) for l2 in np.logspace(-5, 2, 15))

"""Penalties per example; up to stronger ones than the probe's, since tags may have few examples."""


class TaggedFeatures(NamedTuple):
    """Vectors and their tags.

    Attributes:
      features: float32 `[n d]`.
      truth: bool `[n t]`, which have which tag.
      known: bool `[n t]`, of which it is known; the others are neither examples nor
        counterexamples.
    """

    features: np.ndarray
    truth: np.ndarray
    known: np.ndarray

    def take(self, rows: np.ndarray, tags: np.ndarray | None = None) -> "TaggedFeatures":
        """Some rows, and some of the tags."""
        tags = np.arange(self.truth.shape[1]) if tags is None else tags
        pick = lambda x: np.asarray(x)[rows][:, tags]  # noqa: E731
        return TaggedFeatures(np.asarray(self.features)[rows], pick(self.truth), pick(self.known))

    @property
    def shares(self) -> np.ndarray:
        """Of each tag the share of known examples that have it, `[t]`."""
        return (self.truth & self.known).sum(0) / np.maximum(self.known.sum(0), 1)


class TagProbe(NamedTuple):
    """Logistic classifiers, one for each tag.

    Attributes:
      scale: shift and scale of the features, `[d]` each.
      linear: weights `[d t]` and bias `[t]`.
      thresholds: probabilities `[t]` from which on a tag is given.
    """

    scale: Standardizer
    linear: LinearClassifier
    thresholds: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Probabilities float64 `[n t]` of features `[n d]`."""
        return _probabilities(self.linear, self.scale(np.asarray(features, np.float32)))


class TagChoice(NamedTuple):
    """The penalty that validation chose, its probe, and the loss of each penalty tried."""

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
    """Learns the tags with every penalty of `grid` and keeps the best on `validation`.

    Of equal losses the stronger penalty counts. Penalties are tried from the strongest on, each
    starting from the one before.

    Args:
      train: examples to learn from.
      validation: examples that choose the penalty and the thresholds.
      mesh: examples are divided along 'data'.
      grid: penalties to try.

    Raises:
      ValueError: a tag has no positive or no negative example in a part, or a feature is not
        finite.
    """
    for name, part in (("to learn from", train), ("to validate with", validation)):
        _check(part, name)
    scale = Standardizer.fit(np.asarray(train.features, np.float32))
    features, held = scale(train.features), scale(validation.features)
    losses: dict[float, float] = {}
    best, linear = None, None
    for l2 in sorted(grid, reverse=True):
        linear = fit_logistic(features, train.truth, train.known, l2=l2, mesh=mesh, start=linear)
        losses[l2] = compute_mean_loss(_probabilities(linear, held), validation)
        if best is None or losses[l2] < losses[best[0]]:
            best = (l2, linear)
    l2, linear = best
    scores = _probabilities(linear, held)
    thresholds = choose_thresholds(scores, validation.truth, known=validation.known)
    return TagChoice(l2, TagProbe(scale, linear, thresholds), losses)


def fit_logistic(
    features: np.ndarray,
    truth: np.ndarray,
    known: np.ndarray,
    *,
    l2: float,
    mesh: Mesh,
    start: LinearClassifier | None = None,
    **solver: float,
) -> LinearClassifier:
    """Minimises, for each tag, the mean loss of its known examples + l2 / 2 * |weights|^2.

    The loss is the binary cross-entropy of the logit. See `probe.fit`.

    Args:
      features: `[n d]`.
      truth: bool `[n t]`.
      known: bool `[n t]`, some of each tag.
      l2: penalty.
      mesh: examples are divided along 'data'.
      start: where to begin.
      **solver: `max_steps`, `tolerance`.
    """
    weights = known / known.sum(0)
    labels = np.asarray(truth, np.float32)
    loss, tags = optax.sigmoid_binary_cross_entropy, truth.shape[1]
    options = dict(outputs=tags, l2=l2, mesh=mesh, start=start)
    return minimize(loss, features, labels, weights, **options, **solver)


def _probabilities(linear: LinearClassifier, features: np.ndarray) -> np.ndarray:
    return expit(linear.logits(features).astype(np.float64))


def compute_mean_loss(scores: np.ndarray, part: TaggedFeatures) -> float:
    """Mean over the tags of the cross-entropy of probabilities `[n t]`, in nats."""
    right = np.maximum(np.where(part.truth, scores, 1 - scores), np.finfo(np.float64).tiny)
    weights = part.known / part.known.sum(0)
    return float(-(weights * np.log(right)).sum(0).mean())


def _check(part: TaggedFeatures, name: str) -> None:
    if not np.isfinite(part.features).all():
        row = int(np.flatnonzero(~np.isfinite(part.features).all(1))[0])
        raise ValueError(f"the features of example {row} {name} are not finite: make them again")
    bad = np.flatnonzero(~find_learnable_tags(part.truth, part.known))
    if len(bad) or not part.truth.shape[1]:
        which = f"tag {bad[0]} has" if len(bad) else "there is no tag, so there are"
        raise ValueError(f"{which} no examples or no counterexamples {name}: leave it out")
