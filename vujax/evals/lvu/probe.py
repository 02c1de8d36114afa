"""Linear probes of windows: softmax regression for classes, ridge for numbers.

A path is an iterator of (penalty, predict), from the strongest penalty on. The chosen penalty is
that of the least loss on held-out clips.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh

from vujax.evals.logistic import Standardizer, fit_softmax
from vujax.evals.lvu.clip_embeddings import Windows

Predict = Callable[[np.ndarray], np.ndarray]

"""`[w d] -> [w k]`: probabilities of k classes, or with k = 1 numbers."""

PenaltyPath = Callable[[np.ndarray, np.ndarray, np.ndarray], Iterator[tuple[float, Predict]]]

"""(features `[w d]`, targets `[w]`, weights `[w]`) -> predictors by penalty."""

GRID = tuple(float(l2) for l2 in np.logspace(-5, 3, 17))

"""Penalties per clip, for features of about unit length or unit variance; strongest last."""


class PenaltyChoice(NamedTuple):
    """The chosen penalty, and the loss of each penalty on held-out clips."""

    l2: float
    losses: dict[float, float]


def softmax_path(grid: Sequence[float], classes: int, mesh: Mesh) -> PenaltyPath:
    """Return the path of softmax regression; each penalty starts from the one before.

    See `vujax.evals.linear_probe.fit_softmax`.
    """

    def path(features, targets, weights):
        linear = None
        for l2 in sorted(grid, reverse=True):
            options = dict(classes=classes, l2=l2, mesh=mesh, weights=weights, start=linear)
            linear = fit_softmax(features, targets, **options)
            yield l2, lambda x, linear=linear: softmax(linear.logits(x))

    return path


def softmax(logits: np.ndarray) -> np.ndarray:
    """Compute the softmax over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def ridge_path(grid: Sequence[float]) -> PenaltyPath:
    """Return the path of ridge regression, solved exactly.

    It minimizes `mean (y - x b - a)^2 + l2 |b|^2`, the mean weighted; scikit-learn's Ridge has
    `alpha = l2 n`. One decomposition, of the smaller of the two Gram matrices, serves all
    penalties.
    """

    def path(features, targets, weights):
        used = weights > 0
        x, y, w = (a[used].astype(np.float64) for a in (features, targets, weights))
        w = w / w.sum()
        center, mean = w @ x, w @ y
        x, y = np.sqrt(w)[:, None] * (x - center), np.sqrt(w) * (y - mean)
        wide = x.shape[0] < x.shape[1]
        sizes, axes = np.linalg.eigh(x @ x.T if wide else x.T @ x)
        projected = axes.T @ (y if wide else x.T @ y)
        for l2 in sorted(grid, reverse=True):
            slope = axes @ (projected / (sizes + l2))
            slope = x.T @ slope if wide else slope
            yield l2, lambda x, slope=slope: ((x - center) @ slope + mean)[:, None]

    return path


def fit_path(
    windows: Windows, targets: np.ndarray, fitted: np.ndarray, path: PenaltyPath, standardize: bool
) -> Iterator[tuple[float, Predict]]:
    """Fit the path to the clips in `fitted`, bool `[clips]`; others have no effect."""
    used = fitted[windows.clip]
    weights = np.where(used, windows.shares(), 0)
    if not standardize:
        yield from path(windows.vectors, targets[windows.clip], weights)
        return
    scale = Standardizer.fit(windows.vectors[used])
    for l2, predict in path(scale(windows.vectors), targets[windows.clip], weights):
        yield l2, lambda x, predict=predict: predict(scale(x))


def choose_penalty(
    windows: Windows,
    targets: np.ndarray,
    folds: Sequence[np.ndarray],
    path: PenaltyPath,
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray],
    standardize: bool,
) -> PenaltyChoice:
    """Return the penalty of least mean loss; of equal ones the strongest.

    Args:
      windows: of clips.
      targets: `[clips]`.
      folds: bool `[clips]` each, the clips to fit; the loss is that of all the others.
      path: see the module.
      loss: (predictions `[c k]`, targets `[c]`) -> `[c]`.
      standardize: standardize the features, by the fitted windows.
    """
    totals: dict[float, float] = {}
    for fitted in folds:
        out = np.flatnonzero(~fitted)
        for l2, predict in fit_path(windows, targets, fitted, path, standardize):
            predictions = windows.mean(predict(windows.vectors))[out]
            totals[l2] = totals.get(l2, 0.0) + float(loss(predictions, targets[out]).sum())
    num_held_out = sum(int((~fitted).sum()) for fitted in folds)
    losses = {l2: total / num_held_out for l2, total in totals.items()}
    return PenaltyChoice(min(losses, key=lambda l2: (losses[l2], -l2)), losses)
