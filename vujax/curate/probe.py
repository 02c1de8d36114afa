"""What is like the examples: logistic regression on frozen vectors, fitted while one waits.

    minimise  1/2 mean_{i in P} log(1 + exp(-f(x_i))) + 1/2 mean_{i in N} log(1 + exp(f(x_i)))
              + L2/2 |w|^2,    f(x) = w (x - m) / s + b

P are the examples and N what is not wanted, each with half of the weight whatever their number; m
and s centre and scale the catalogue's vectors, so that one L2 suits all encoders.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

L2 = 0.01
FOLDS = 5


class Linear(NamedTuple):
    """`x -> x @ weights + bias`."""

    weights: np.ndarray
    bias: float


def fit(positive: np.ndarray, negative: np.ndarray, centre: tuple[np.ndarray, float]) -> Linear:
    """Learns what tells examples from the others.

    Args:
      positive: `[p d]`, p at least 1.
      negative: `[n d]`, n at least 1.
      centre: mean `[d]` and scale of the catalogue's vectors.

    Returns:
      The classifier of vectors as they are.

    Raises:
      ValueError: there are no examples of one kind.
    """
    if not len(positive) or not len(negative):
        raise ValueError("to learn, there must be examples, and something else to tell them from")
    mean, scale = centre
    x = (np.concatenate([positive, negative]).astype(np.float64) - mean) / scale
    signs = np.repeat([1.0, -1.0], [len(positive), len(negative)])
    shares = np.repeat([0.5 / len(positive), 0.5 / len(negative)], [len(positive), len(negative)])

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = theta[:-1], theta[-1]
        margins = signs * (x @ weights + bias)
        value = shares @ np.logaddexp(0, -margins) + L2 / 2 * weights @ weights
        slope = -shares * signs * expit(-margins)
        return float(value), np.append(slope @ x + L2 * weights, slope.sum())

    start = np.zeros(x.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-6}).x
    weights = found[:-1] / scale
    return Linear(weights.astype(np.float32), float(found[-1] - weights @ mean))


def held_out(
    positive: np.ndarray,
    negative: np.ndarray,
    groups: np.ndarray,
    centre: tuple[np.ndarray, float],
) -> np.ndarray:
    """What a classifier says of each example when it was not shown it, nor what is nearly it.

    Args:
      positive: `[p d]`.
      negative: `[n d]`.
      groups: `[p + n]`, one number for what is nearly the same.
      centre: as for `fit`.

    Returns:
      f of each, float64 `[p + n]`; 0 where nothing was left to learn from.
    """
    vectors = np.concatenate([positive, negative])
    holds = np.arange(len(vectors)) < len(positive)
    order = np.random.default_rng(0).permutation(np.unique(groups))
    folds = np.empty(order.max() + 1, np.int64)
    folds[order] = np.arange(len(order)) % FOLDS
    found = np.zeros(len(vectors))
    for fold in range(FOLDS):
        out = folds[groups] == fold
        kept = (vectors[holds & ~out], vectors[~holds & ~out])
        if out.any() and all(map(len, kept)):
            linear = fit(*kept, centre)
            found[out] = vectors[out] @ linear.weights + linear.bias
    return found
