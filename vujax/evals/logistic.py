"""Softmax and logistic regression with an L2 penalty, by L-BFGS.

Softmax regression (`fit_softmax`) and one logistic regression a tag (`fit_logistic`), with an L2
penalty on the weights (not on the bias), are solved to a tolerance, as scikit-learn's
LogisticRegression does: its C is `1 / (l2 * n)` here.

Two solvers give the same optimum. 'jax' runs on the devices of a mesh in float32 and is compiled
once a shape; 'scipy' runs on one core in float64 and answers at once for a few hundred examples.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh
from scipy import optimize
from scipy.special import expit

from vujax.evals.features import place, place_rows
from vujax.utils.mesh import replicated_sharding

SOLVERS = ("jax", "scipy")
MAX_STEPS = 1000
TOLERANCE = 1e-5

STALL, PATIENCE = 1e-7, 3
"""float32 resolves the loss no finer: PATIENCE steps that gain less than STALL end the search."""

Loss = Callable[[jax.Array, jax.Array], jax.Array]


class LinearClassifier(NamedTuple):
    """A classifier `x -> x @ weights + bias`: `[d c]` and `[c]`."""

    weights: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Compute `[n d] -> [n c]`."""
        return features @ self.weights + self.bias

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of examples whose largest logit is their label's."""
        return float((self.logits(features).argmax(1) == labels).mean())


class Standardizer(NamedTuple):
    """Shift and scale of each feature, taken from the training split: `[d]` each."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray) -> "Standardizer":
        """Return the statistics of `[n d]`; a constant feature keeps its scale."""
        std = features.std(0)
        return cls(features.mean(0), np.where(std > 1e-7, std, 1.0))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Standardize `[n d]`."""
        return (features - self.mean) / self.std


def fit_softmax(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    classes: int,
    l2: float,
    mesh: Mesh,
    weights: np.ndarray | None = None,
    start: LinearClassifier | None = None,
    max_steps: int = MAX_STEPS,
    tolerance: float = TOLERANCE,
) -> LinearClassifier:
    """Minimize `mean cross-entropy + l2 / 2 * |weights|^2`.

    Args:
      features: `[n d]`.
      labels: `[n]` in 0 .. classes-1.
      classes: number of classes.
      l2: penalty per example.
      mesh: examples are divided along 'data'.
      weights: `[n]`, of the examples in the mean, not negative; None: all are equal. Examples of
        weight 0 have no effect, and other weights need no new compilation.
      start: initial classifier (default: zeros); the optimum is the same.
      max_steps: of L-BFGS.
      tolerance: stop when no entry of the gradient is larger, or when float32 shows no progress.
    """
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    return minimize(
        optax.softmax_cross_entropy_with_integer_labels,
        features,
        np.int32(labels),
        np.float32(weights / weights.sum()),
        outputs=classes,
        l2=l2,
        mesh=mesh,
        start=start,
        max_steps=max_steps,
        tolerance=tolerance,
    )


def fit_logistic(
    features: np.ndarray,
    truth: np.ndarray,
    weights: np.ndarray,
    *,
    l2: float,
    mesh: Mesh | None = None,
    solver: str = "jax",
    start: LinearClassifier | None = None,
    max_steps: int = MAX_STEPS,
    tolerance: float = TOLERANCE,
) -> LinearClassifier:
    """Fit one logistic regression a tag.

    It minimizes `sum(weights * binary cross-entropy) + l2 / 2 * |linear.weights|^2` for each tag.

    Args:
      features: `[n d]`.
      truth: bool `[n t]`.
      weights: `[n t]`, of the examples in the sum, not negative.
      l2: penalty.
      mesh: examples are divided along 'data'; only 'jax' needs it.
      solver: 'jax' or 'scipy', see the module.
      start: initial classifier (default: zeros); 'scipy' starts at zeros.
      max_steps: of L-BFGS.
      tolerance: stop when no entry of the gradient is larger.

    Raises:
      ValueError: an unknown solver, or 'jax' without a mesh.
    """
    if solver not in SOLVERS:
        raise ValueError(f"unknown solver {solver!r}; expected one of: {', '.join(SOLVERS)}")
    if solver == "scipy":
        columns = [
            _solve_by_scipy(features, truth[:, t], weights[:, t], l2, max_steps, tolerance)
            for t in range(truth.shape[1])
        ]
        return LinearClassifier(
            np.stack([column[:-1] for column in columns], axis=1),
            np.array([column[-1] for column in columns]),
        )
    if mesh is None:
        raise ValueError("solver 'jax' needs a mesh; give one, or use solver 'scipy'")
    return minimize(
        optax.sigmoid_binary_cross_entropy,
        features,
        np.asarray(truth, np.float32),
        weights,
        outputs=truth.shape[1],
        l2=l2,
        mesh=mesh,
        start=start,
        max_steps=max_steps,
        tolerance=tolerance,
    )


def _solve_by_scipy(
    features: np.ndarray,
    truth: np.ndarray,
    shares: np.ndarray,
    l2: float,
    max_steps: int,
    tolerance: float,
) -> np.ndarray:
    """Return the weights and the bias of one tag, float64 `[d + 1]`."""
    x, signs = np.asarray(features, np.float64), np.where(truth, 1.0, -1.0)

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = theta[:-1], theta[-1]
        margins = signs * (x @ weights + bias)
        value = shares @ np.logaddexp(0, -margins) + l2 / 2 * weights @ weights
        slope = -shares * signs * expit(-margins)
        return float(value), np.append(slope @ x + l2 * weights, slope.sum())

    options = {"gtol": tolerance, "maxiter": max_steps}
    start = np.zeros(x.shape[1] + 1)
    return optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x


def minimize(
    loss: Loss,
    features: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    *,
    outputs: int,
    l2: float,
    mesh: Mesh,
    start: LinearClassifier | None = None,
    max_steps: int = MAX_STEPS,
    tolerance: float = TOLERANCE,
) -> LinearClassifier:
    """Minimize `sum(weights * loss(logits, labels)) + l2 / 2 * |linear.weights|^2`.

    Args:
      loss: `(logits [n c], labels [n ...])` -> losses of the shape of `weights`; convex. Keep one
        function object: each new one is compiled again.
      features: `[n d]`.
      labels: `[n ...]`.
      weights: `[n]` or `[n c]` float32.
      outputs: c.
      l2: penalty.
      mesh: examples are divided along 'data'.
      start: initial classifier (default: zeros); the optimum is the same.
      max_steps: of L-BFGS.
      tolerance: stop when no entry of the gradient is larger, or when float32 shows no progress.
    """
    start = start or LinearClassifier(
        np.zeros((features.shape[1], outputs), np.float32), np.zeros(outputs, np.float32)
    )
    replicated = replicated_sharding(mesh)
    solution = _solver(loss, mesh, max_steps)(
        jax.tree.map(lambda x: place(np.float32(x), replicated), start),
        place_rows(np.float32(features), mesh),
        place_rows(labels, mesh),
        place_rows(np.float32(weights), mesh),
        np.float32(l2),
        np.float32(tolerance),
    )
    return LinearClassifier(
        np.asarray(jax.device_get(solution.weights)), np.asarray(jax.device_get(solution.bias))
    )


class _Progress(NamedTuple):
    linear: LinearClassifier
    state: optax.OptState
    value: jax.Array
    stalls: jax.Array | int
    steps: jax.Array | int


@functools.lru_cache(maxsize=16)
def _solver(loss: Loss, mesh: Mesh, max_steps: int) -> Callable[..., LinearClassifier]:
    optimizer = optax.lbfgs()

    def solve(start, features, labels, weights, l2, tolerance):
        def objective(linear):
            logits = jnp.matmul(features, linear.weights, precision=lax.Precision.HIGHEST)
            losses = loss(logits + linear.bias, labels)
            return jnp.sum(weights * losses) + 0.5 * l2 * jnp.sum(linear.weights**2)

        value_and_grad = optax.value_and_grad_from_state(objective)

        def step(progress):
            linear, state = progress.linear, progress.state
            value, grad = value_and_grad(linear, state=state)
            updates, state = optimizer.update(
                grad, state, linear, value=value, grad=grad, value_fn=objective
            )
            slow = progress.value - value <= STALL * jnp.abs(value)
            stalls = jnp.where(slow, progress.stalls + 1, 0)
            linear = optax.apply_updates(linear, updates)
            return _Progress(linear, state, value, stalls, progress.steps + 1)

        def is_unfinished(progress):
            steep = _max_abs(optax.tree.get(progress.state, "grad")) > tolerance
            started = progress.steps > 0
            going = (progress.stalls < PATIENCE) & (progress.steps < max_steps)
            return ~started | (steep & going)

        first = _Progress(start, optimizer.init(start), jnp.float32(jnp.inf), 0, 0)
        return lax.while_loop(is_unfinished, step, first).linear

    return jax.jit(solve, out_shardings=replicated_sharding(mesh))


def _max_abs(tree: Any) -> jax.Array:
    return jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(tree)]))
