"""The scale of a trained model's logits, fitted on held-out pairs.

A scale that was learned on the training pairs is overconfident on others, most of all with sharp
soft targets. One number repairs it without a change of any ranking: temperature scaling (Guo et al.
2017, arXiv:1706.04599), here of both directions of retrieval.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from vujax.evals.metrics.classification import expected_calibration_error
from vujax.evals.metrics.ranking import NO_KEY
from vujax.evals.retrieval import CaptionGroups

MAX_PAIRS = 2048  # images and texts that are compared; one array of their similarities is held
STEPS = 30  # of the golden-section search: the interval of log(scale) shrinks to 1e-6 of itself


class PairEvaluator(Protocol):
    """An evaluator of image-text pairs, such as `vujax.evals.retrieval.Retrieval`.

    Attributes:
      captions: of the pairs.
    """

    captions: CaptionGroups

    def embed(self, variables: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the unit embeddings of the images and of the different texts."""


class FittedScale(NamedTuple):
    """The result of a fit.

    Attributes:
      scale: multiplier of the cosines with the least held-out loss.
      loss: held-out InfoNCE with it, mean over both directions, in nats.
      loss_before: the same with the trained scale.
      pairs: number of held-out images that were used.
      ece: expected calibration error with it on the same pairs, mean over both directions, in
        [0, 1].
      ece_before: the same with the trained scale.
    """

    scale: float
    loss: float
    loss_before: float
    pairs: int
    ece: float
    ece_before: float


def fit_scale(
    images: np.ndarray,
    texts: np.ndarray,
    of_image: np.ndarray,
    trained: float,
    *,
    max_scale: float = 100.0,
) -> FittedScale:
    """Find the scale in [1, max_scale] with the least InfoNCE on held-out pairs.

    Equal captions are one text, and a text of several images belongs to all of them.

    Args:
      images: float32 `[n d]`, unit vectors.
      texts: float32 `[t d]`, unit vectors of the different texts.
      of_image: int32 `[n c]`, each image's texts, filled up with `NO_KEY`.
      trained: the model's scale.
      max_scale: the model's bound.

    Raises:
      ValueError: there are fewer than two images or texts, or an embedding is not finite.
    """
    similarity, belongs = compare_pairs(images, texts, of_image)

    def loss(log_scale: float) -> float:
        return compute_held_out_loss(similarity, belongs, math.exp(log_scale))

    best = minimize_unimodal(loss, 0.0, math.log(max_scale))
    return FittedScale(
        math.exp(best),
        loss(best),
        loss(math.log(trained)),
        len(similarity),
        compute_calibration_error(similarity, belongs, math.exp(best)),
        compute_calibration_error(similarity, belongs, trained),
    )


def compare_pairs(
    images: np.ndarray, texts: np.ndarray, of_image: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compare at most MAX_PAIRS images, spread evenly, with their own texts.

    Args:
      images: float32 `[n d]`, unit vectors.
      texts: float32 `[t d]`, unit vectors of the different texts.
      of_image: int32 `[n c]`, each image's texts, filled up with `NO_KEY`.

    Returns:
      similarity: float32 `[m k]`, cosines.
      belongs: bool `[m k]`, the pairs.

    Raises:
      ValueError: there are fewer than two images or texts, or an embedding is not finite.
    """
    if min(len(images), len(texts)) < 2:
        raise ValueError(
            f"a scale cannot be fitted on {len(images)} images and {len(texts)} different texts: "
            "name an evaluation with 2 or more of each"
        )
    for name, rows in (("image", images), ("text", texts)):
        bad = np.flatnonzero(~np.isfinite(rows).all(1))
        if bad.size:
            raise ValueError(f"a scale cannot be fitted: the embedding of {name} {bad[0]} is NaN")
    chosen = np.unique(np.linspace(0, len(images) - 1, MAX_PAIRS).astype(int))
    own = np.unique(of_image[chosen][of_image[chosen] != NO_KEY])
    belongs = (of_image[chosen][:, :, None] == own).any(1)
    return images[chosen] @ texts[own].T, belongs


def compute_held_out_loss(similarity: np.ndarray, belongs: np.ndarray, scale: float) -> float:
    """Compute InfoNCE with several right answers, mean over images and over texts, in nats.

    Args:
      similarity: float `[n t]`, cosines.
      belongs: bool `[n t]`, the pairs; every row and column has one.
      scale: multiplier of the cosines.
    """
    logits = scale * similarity.astype(np.float64)
    losses = []
    for axis in (1, 0):
        top = logits.max(axis, keepdims=True)
        mass = np.exp(logits - top)
        right = np.where(belongs, logits, -np.inf).max(axis, keepdims=True)
        own = np.where(belongs, np.exp(logits - right), 0).sum(axis)
        losses.append(np.mean(np.log(mass.sum(axis)) - np.log(own) + (top - right).squeeze(axis)))
    return float(np.mean(losses))


def compute_calibration_error(similarity: np.ndarray, belongs: np.ndarray, scale: float) -> float:
    """Compute the expected calibration error of the first answers, mean over both directions.

    The first answer of an image is its most similar text, with the softmax over the texts as its
    probability, and the reverse.

    Args:
      similarity: float `[n t]`, cosines.
      belongs: bool `[n t]`, the pairs.
      scale: multiplier of the cosines.

    Returns:
      In [0, 1].
    """
    logits = scale * similarity.astype(np.float64)
    errors = []
    for axis in (1, 0):
        mass = np.exp(logits - logits.max(axis, keepdims=True)).sum(axis)
        first = np.expand_dims(logits.argmax(axis), axis)
        right = np.take_along_axis(belongs, first, axis).squeeze(axis)
        errors.append(expected_calibration_error(1 / mass, right))
    return float(np.mean(errors))


def minimize_unimodal(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the argument in [low, high] at which a function of one valley is least."""
    golden = (math.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = function(right)
    return (low + high) / 2
