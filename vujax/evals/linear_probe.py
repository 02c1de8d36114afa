"""Logistic regression on frozen features, and the linear probe that measures them with it.

Softmax regression (`fit_softmax`) and one logistic regression a tag (`fit_logistic`), with an L2
penalty on the weights (not on the bias), solved by L-BFGS to a tolerance, as scikit-learn's
LogisticRegression does: its C is `1 / (l2 * n)` here. `LinearProbe` is the evaluator; it chooses
the penalty on a validation split, never on the test split.

Two solvers give the same optimum. 'jax' runs on the devices of a mesh in float32 and is compiled
once a shape; 'scipy' runs on one core in float64 and answers at once for a few hundred examples.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh

from vujax.evals.base import Evaluator
from vujax.evals.features import Variables, image_encoder, place, place_rows
from vujax.evals.folds import hold_out_examples
from vujax.evals.metrics.classification import label_baselines, mean_class_accuracy
from vujax.evals.reader import Reader
from vujax.utils.mesh import replicated_sharding

L2_GRID = tuple(float(l2) for l2 in np.logspace(-6, 1, 15))
"""Penalties per example, for standardized features; strongest last."""

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
    """Minimize, for each tag, `sum(weights * binary cross-entropy) + l2 / 2 * |weights|^2`.

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
    from scipy.optimize import minimize as minimize_by_scipy
    from scipy.special import expit

    x, signs = np.asarray(features, np.float64), np.where(truth, 1.0, -1.0)

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = theta[:-1], theta[-1]
        margins = signs * (x @ weights + bias)
        value = shares @ np.logaddexp(0, -margins) + l2 / 2 * weights @ weights
        slope = -shares * signs * expit(-margins)
        return float(value), np.append(slope @ x + l2 * weights, slope.sum())

    options = {"gtol": tolerance, "maxiter": max_steps}
    start = np.zeros(x.shape[1] + 1)
    return minimize_by_scipy(objective, start, jac=True, method="L-BFGS-B", options=options).x


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


class PenaltyChoice(NamedTuple):
    """The penalty that validation chose, its classifier, and the accuracy of each penalty."""

    l2: float
    linear: LinearClassifier
    accuracies: dict[float, float]


def choose_penalty(
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    classes: int,
    grid: Sequence[float],
    mesh: Mesh,
    **solver: Any,
) -> PenaltyChoice:
    """Fit every penalty of `grid` on `train` and return the best on `validation`.

    Penalties are tried from the strongest on, each starting from the one before. Of equal
    accuracies the stronger penalty wins.

    Args:
      train: features `[n d]` and labels `[n]`.
      validation: likewise.
      classes: number of classes.
      grid: penalties.
      mesh: examples are divided along 'data'.
      **solver: `max_steps`, `tolerance` of `fit_softmax`.
    """
    features, labels = train
    accuracies: dict[float, float] = {}
    best: tuple[float, LinearClassifier] | None = None
    linear = None
    for l2 in sorted(grid, reverse=True):
        options = dict(classes=classes, l2=l2, mesh=mesh, start=linear)
        linear = fit_softmax(features, labels, **options, **solver)
        accuracies[l2] = linear.accuracy(*validation)
        if best is None or accuracies[l2] > accuracies[best[0]]:
            best = (l2, linear)
    if best is None:
        raise ValueError("the grid of penalties is empty; give at least one")
    return PenaltyChoice(best[0], best[1], accuracies)


class LinearProbe(Evaluator):
    """Evaluator: `(variables) -> {top1, mean_class, validation_top1, l2, examples}`.

    Attributes:
      hits: after a call, `[n]`: 1 where a test image was right, in the source's order.
      baselines: a random class ('chance'), and always the commonest class ('constant').
    """

    headline = "top1"

    def __init__(
        self,
        model: Any,
        mesh: Mesh,
        *,
        train: Any,
        source: Any,
        validation: Any = None,
        validation_share: float = 0.2,
        refit: bool = True,
        feature: str | None = "pooled",
        grid: Sequence[float] = L2_GRID,
        seed: int = 0,
        **reading: Any,
    ) -> None:
        """Store the options; files are opened at the first call.

        Args:
          model: encodes images.
          mesh: devices to use, along 'data'.
          train: labeled source to learn from; see `reader.open_any`.
          source: labeled source to score: the choice of the penalty never reads it.
          validation: labeled source that chooses the penalty (default: a part of `train`).
          validation_share: that part.
          refit: learn the final classifier from train and validation together.
          feature: of `encode_image`'s second result: 'pooled', the input of the projection, is the
            usual one; None takes the embedding.
          grid: penalties to try.
          seed: of the choice of validation examples.
          **reading: `batch_size`, `workers`.
        """
        self.encode = image_encoder(model, feature)
        self.train, self.test = (Reader(s, model, mesh, **reading) for s in (train, source))
        self.validation = validation and Reader(validation, model, mesh, **reading)
        self.mesh, self.grid, self.refit = mesh, tuple(grid), refit
        self.validation_share, self.seed = validation_share, seed

    def __call__(self, variables: Variables) -> dict[str, float]:
        """Learn a linear classifier on `variables`' features and score it."""
        train, validation, test = self._splits(variables)
        classes = 1 + max(int(labels.max()) for _, labels in (train, validation, test))
        choice = choose_penalty(train, validation, classes=classes, grid=self.grid, mesh=self.mesh)
        linear = choice.linear
        if self.refit:
            features, labels = (
                np.concatenate(pair) for pair in zip(train, validation, strict=True)
            )
            options = dict(classes=classes, l2=choice.l2, mesh=self.mesh, start=linear)
            linear = fit_softmax(features, labels, **options)
        features, labels = test
        hits = (linear.logits(features).argmax(1) == labels).astype(np.float64)
        self.hits = hits
        self.baselines = label_baselines(labels, classes)
        return {
            "top1": float(hits.mean()),
            "mean_class": mean_class_accuracy(hits, labels),
            "validation_top1": choice.accuracies[choice.l2],
            "l2": choice.l2,
            "examples": len(labels),
        }

    def _splits(self, variables: Variables) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return standardized features and labels of train, validation and test split."""
        train = self.train.embed_labeled(self.encode, variables)
        if self.validation:
            validation = self.validation.embed_labeled(self.encode, variables)
        else:
            out = hold_out_examples(len(train[1]), self.validation_share, self.seed)
            train, validation = (tuple(x[rows] for x in train) for rows in (~out, out))
        scale = Standardizer.fit(train[0])
        test = self.test.embed_labeled(self.encode, variables)
        return [(scale(features), labels) for features, labels in (train, validation, test)]
