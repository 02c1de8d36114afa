"""Linear probe: logistic regression on frozen features, the usual measure of what they hold.

Softmax regression with an L2 penalty on the weights (not on the bias), solved by L-BFGS to a
tolerance, as scikit-learn's LogisticRegression does: its C is `1 / (l2 * n)` here. The penalty is
chosen on a validation part, never on the test part. `minimise` takes other losses too: see
`vujax.evals.multilabel_probe`.

Accuracies from per-example hits, and what no model at all would score.
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

from vujax.evals.base import Example
from vujax.evals.features import Variables, image_encoder, place, place_rows
from vujax.evals.folds import hold_out_examples
from vujax.evals.metrics.classification import label_baselines, mean_class_accuracy
from vujax.evals.reader import Reader
from vujax.utils.mesh import replicated_sharding

L2_GRID = tuple(float(l2) for l2 in np.logspace(-6, 1, 15))

"""Penalties per example, for standardised features; strongest last."""

STALL, PATIENCE = 1e-7, 3

"""float32 resolves the loss no finer: so many steps that gain less end the search."""

Loss = Callable[[jax.Array, jax.Array], jax.Array]


class LinearClassifier(NamedTuple):
    """A classifier `x -> x @ weights + bias`: `[d c]` and `[c]` float32."""

    weights: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """`[n d] -> [n c]`."""
        return features @ self.weights + self.bias

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        """Share of examples whose largest logit is their label's."""
        return float((self.logits(features).argmax(1) == labels).mean())


class Standardizer(NamedTuple):
    """Shift and scale of each feature, taken from the training part: `[d]` each."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray) -> "Standardizer":
        """Statistics of `[n d]`; a constant feature keeps its scale."""
        std = features.std(0)
        return cls(features.mean(0), np.where(std > 1e-7, std, 1.0))

    def __call__(self, features: np.ndarray) -> np.ndarray:
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
    max_steps: int = 1000,
    tolerance: float = 1e-5,
) -> LinearClassifier:
    """Minimises `mean cross-entropy + l2 / 2 * |weights|^2`.

    Args:
      features: `[n d]`.
      labels: `[n]` in 0 .. classes-1.
      classes: number of classes.
      l2: penalty per example.
      mesh: examples are divided along 'data'.
      weights: `[n]`, of the examples in the mean, not negative; None: all count alike. Those of
        weight 0 are as if they were not there, and other ones need no new compilation.
      start: where to begin (default: zeros); the optimum is the same.
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
    max_steps: int = 1000,
    tolerance: float = 1e-5,
) -> LinearClassifier:
    """Minimises `sum(weights * loss(logits, labels)) + l2 / 2 * |linear.weights|^2`.

    Args:
      loss: `(logits [n c], labels [n ...])` -> losses of the shape of `weights`; convex. Keep one
        function object: each new one is compiled anew.
      features: `[n d]`.
      labels: `[n ...]`.
      weights: `[n]` or `[n c]` float32.
      outputs: c.
      l2: penalty.
      mesh: see `fit`, as for what follows.
      start: likewise.
      max_steps: likewise.
      tolerance: likewise.
    """
    start = start or LinearClassifier(
        np.zeros((features.shape[1], outputs), np.float32), np.zeros(outputs, np.float32)
    )
    everywhere = replicated_sharding(mesh)
    solution = _solver(loss, mesh, max_steps)(
        jax.tree.map(lambda x: place(np.float32(x), everywhere), start),
        place_rows(np.float32(features), mesh),
        place_rows(labels, mesh),
        place_rows(np.float32(weights), mesh),
        np.float32(l2),
        np.float32(tolerance),
    )
    return LinearClassifier(*jax.device_get(tuple(solution)))


class _Progress(NamedTuple):
    linear: LinearClassifier
    state: optax.OptState
    value: jax.Array
    stalls: jax.Array | int
    steps: jax.Array | int


def _largest(tree: Any) -> jax.Array:
    return jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(tree)]))


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

        def unfinished(progress):
            steep = _largest(optax.tree.get(progress.state, "grad")) > tolerance
            begun = progress.steps > 0
            going = (progress.stalls < PATIENCE) & (progress.steps < max_steps)
            return ~begun | (steep & going)

        first = _Progress(start, optimizer.init(start), jnp.float32(jnp.inf), 0, 0)
        return lax.while_loop(unfinished, step, first).linear

    return jax.jit(solve, out_shardings=replicated_sharding(mesh))


class PenaltyChoice(NamedTuple):
    """The penalty that validation chose, its classifier, and the accuracy of each penalty tried."""

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
    """Fits every penalty of `grid` on `train` and keeps the best on `validation`.

    Both parts are `(features [n d], labels [n])`. Equal accuracies go to the stronger penalty.
    Penalties are tried from the strongest on, each starting from the one before.
    """
    accuracies, best, linear = {}, None, None
    for l2 in sorted(grid, reverse=True):
        linear = fit_softmax(*train, classes=classes, l2=l2, mesh=mesh, start=linear, **solver)
        accuracies[l2] = linear.accuracy(*validation)
        if best is None or accuracies[l2] > accuracies[best[0]]:
            best = (l2, linear)
    return PenaltyChoice(*best, accuracies)


class LinearProbe:
    """Evaluator: `(variables) -> {top1, mean_class, validation_top1, l2, examples}`.

    Attributes:
      hits: after a call, `[n]` whether each test image was right, in the source's order.
      baselines: chance, and always answering the commonest class.
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
        """Names what to read; files are opened at the first call.

        Args:
          model: encodes images.
          mesh: devices to use, along 'data'.
          train: labelled source to learn from; see `reader.open_any`.
          source: labelled source to score: never seen by the choice of the penalty.
          validation: labelled source that chooses the penalty (default: a part of `train`).
          validation_share: that part.
          refit: learn the final classifier from train and validation together.
          feature: of `encode_image`'s second result: 'pooled', what enters the projection, is the
            usual one; None takes the embedding.
          grid: penalties to try.
          seed: of the validation part.
          **reading: `batch_size`, `workers`.
        """
        self.encode = image_encoder(model, feature)
        self.train, self.test = (Reader(s, model, mesh, **reading) for s in (train, source))
        self.validation = validation and Reader(validation, model, mesh, **reading)
        self.mesh, self.grid, self.refit = mesh, tuple(grid), refit
        self.validation_share, self.seed = validation_share, seed
        self.baselines: dict[str, dict[str, float]] = {}
        self.hits: np.ndarray | None = None

    def __call__(self, variables: Variables) -> dict[str, float]:
        """Learns a linear classifier on `variables`' features and scores it."""
        fitted, validation, test = self._parts(variables)
        classes = 1 + max(int(labels.max()) for _, labels in (fitted, validation, test))
        choice = choose_penalty(fitted, validation, classes=classes, grid=self.grid, mesh=self.mesh)
        linear = choice.linear
        if self.refit:
            both = [np.concatenate(pair) for pair in zip(fitted, validation, strict=True)]
            linear = fit_softmax(*both, classes=classes, l2=choice.l2, mesh=self.mesh, start=linear)
        features, labels = test
        self.hits = (linear.logits(features).argmax(1) == labels).astype(np.float64)
        self.baselines = label_baselines(labels, classes)
        return {
            "top1": float(self.hits.mean()),
            "mean_class": mean_class_accuracy(self.hits, labels),
            "validation_top1": choice.accuracies[choice.l2],
            "l2": choice.l2,
            "examples": len(labels),
        }

    def examples(self, queries: int) -> list[Example]:
        """None: nothing is retrieved here."""
        return []

    def _parts(self, variables: Variables) -> list[tuple[np.ndarray, np.ndarray]]:
        """Standardised features and labels of the fitted, the validation and the test part."""
        train = self.train.embed_labeled(self.encode, variables)
        if self.validation:
            validation = self.validation.embed_labeled(self.encode, variables)
        else:
            out = hold_out_examples(len(train[1]), self.validation_share, self.seed)
            train, validation = ([x[chosen] for x in train] for chosen in (~out, out))
        scale = Standardizer.fit(train[0])
        test = self.test.embed_labeled(self.encode, variables)
        return [(scale(features), labels) for features, labels in (train, validation, test)]
