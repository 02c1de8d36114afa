"""Linear probe: softmax regression on frozen features, the usual measure of them.

The penalty is chosen on a validation split, never on the test split.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from vujax.evals.base import Evaluator
from vujax.evals.features import Variables, image_encoder
from vujax.evals.folds import hold_out_examples
from vujax.evals.logistic import LinearClassifier, Standardizer, fit_softmax
from vujax.evals.metrics.classification import label_baselines, mean_class_accuracy
from vujax.evals.reader import Reader

L2_GRID = tuple(float(l2) for l2 in np.logspace(-6, 1, 15))
"""Penalties per example, for standardized features; strongest last."""


class PenaltyChoice(NamedTuple):
    """The penalty that validation chose, its classifier, and all accuracies."""

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
    held_out, held_out_labels = validation
    accuracies: dict[float, float] = {}
    best: tuple[float, LinearClassifier] | None = None
    linear = None
    for l2 in sorted(grid, reverse=True):
        options = dict(classes=classes, l2=l2, mesh=mesh, start=linear)
        linear = fit_softmax(features, labels, **options, **solver)
        accuracies[l2] = linear.accuracy(held_out, held_out_labels)
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
