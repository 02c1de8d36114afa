"""Linear answers from windows: softmax regression for classes, ridge regression for numbers.

A path is an iterator of (penalty, predict), from the strongest penalty on. The penalty is that of
the least loss on clips that were not fitted.

Frozen vectors of clips: one for each window of a clip, such as 60 s or a scene.

Right and wrong answers of a task.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh

from vujax.evals.linear_probe import Standardizer, fit_softmax
from vujax.evals.lvu.windows import Windows

Predict = Callable[[np.ndarray], np.ndarray]

"""`[w d] -> [w k]`: probabilities of k classes, or with k = 1 numbers."""

PenaltyPath = Callable[[np.ndarray, np.ndarray, np.ndarray], Iterator[tuple[float, Predict]]]

"""(features `[w d]`, targets `[w]`, weights `[w]`) -> predictors by penalty."""

GRID = tuple(float(l2) for l2 in np.logspace(-5, 3, 17))

"""Penalties per clip, for features of about unit length or unit variance; strongest last."""


class PenaltyChoice(NamedTuple):
    """The penalty that was chosen, and the loss of each on clips that were not fitted."""

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
    """Probabilities of the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def ridge_path(grid: Sequence[float]) -> PenaltyPath:
    """Ridge regression: minimises `mean (y - x b - a)^2 + l2 |b|^2`, the mean weighted, exactly.

    scikit-learn's Ridge has `alpha = l2 n`. One decomposition, of the smaller of the two matrices
    of products, serves all penalties.
    """

    def path(features, targets, weights):
        there = weights > 0
        x, y, w = (a[there].astype(np.float64) for a in (features, targets, weights))
        w = w / w.sum()
        centre, mean = w @ x, w @ y
        x, y = np.sqrt(w)[:, None] * (x - centre), np.sqrt(w) * (y - mean)
        wide = x.shape[0] < x.shape[1]
        sizes, axes = np.linalg.eigh(x @ x.T if wide else x.T @ x)
        seen = axes.T @ (y if wide else x.T @ y)
        for l2 in sorted(grid, reverse=True):
            slope = axes @ (seen / (sizes + l2))
            slope = x.T @ slope if wide else slope
            yield l2, lambda x, slope=slope: ((x - centre) @ slope + mean)[:, None]

    return path


def fit_path(
    windows: Windows, targets: np.ndarray, there: np.ndarray, path: PenaltyPath, standardize: bool
) -> Iterator[tuple[float, Predict]]:
    """The path over the clips that are `there`, bool `[clips]`; others have no part in it."""
    used = there[windows.clip]
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
    parts: Sequence[np.ndarray],
    path: PenaltyPath,
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray],
    standardize: bool,
) -> PenaltyChoice:
    """The penalty of least mean loss; of equal ones the stronger.

    Args:
      windows: of clips.
      targets: `[clips]`.
      parts: bool `[clips]` each, the clips to fit; the loss is that of all the others.
      path: see above.
      loss: (answers `[c k]`, targets `[c]`) -> `[c]`.
      standardize: whether features get mean 0 and variance 1, over the fitted ones.
    """
    totals: dict[float, float] = {}
    for there in parts:
        out = np.flatnonzero(~there)
        for l2, predict in fit_path(windows, targets, there, path, standardize):
            answers = windows.mean(predict(windows.vectors))[out]
            totals[l2] = totals.get(l2, 0.0) + float(loss(answers, targets[out]).sum())
    tested = sum(int((~there).sum()) for there in parts)
    losses = {l2: total / tested for l2, total in totals.items()}
    return PenaltyChoice(min(losses, key=lambda l2: (losses[l2], -l2)), losses)
