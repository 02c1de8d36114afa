"""Suspicious captions: how probable a model finds each caption for its image, and the reverse.

A caption is judged against the other captions of the data set, and its image against the images
that have other captions: captions that are equal but for case and spacing are one text. No matrix
of size N x N is held.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vujax.evals.metrics.classification import roc_auc
from vujax.evals.metrics.ranking import NO_KEY, TILE_ELEMENTS
from vujax.evals.retrieval import CaptionGroups

FIRST = 100
"""Suspects over which precision is reported."""


class PairScores(NamedTuple):
    """Log probabilities of m pairs, and what the model prefers.

    Attributes:
      image_to_text: float32 `[m]`, of the caption, given the image.
      text_to_image: float32 `[m]`, of the image, given the caption.
      best: int64 `[m]`, the most probable other text of the image, an index into the texts.
      best_log_probability: float32 `[m]`, of that text, given the image, in place of the caption.
    """

    image_to_text: np.ndarray
    text_to_image: np.ndarray
    best: np.ndarray
    best_log_probability: np.ndarray

    @property
    def suspicion(self) -> np.ndarray:
        """Minus the mean of both log probabilities, float32 `[m]`; higher is more suspicious."""
        return -(self.image_to_text + self.text_to_image) / 2

    def take(self, rows: np.ndarray) -> "PairScores":
        """Return the scores of the pairs with these numbers."""
        return PairScores._make(values[rows] for values in self)


def score_pairs(
    images: np.ndarray, texts: np.ndarray, captions: CaptionGroups, scale: float
) -> PairScores:
    """Score every caption of every image.

    Args:
      images: `[n d]` unit vectors.
      texts: `[len(captions.texts) d]` unit vectors.
      captions: the pairs; the result is in the order of `captions.rows`.
      scale: multiplier of the cosines.

    Raises:
      ValueError: all captions are equal, or an embedding is not finite.
    """
    if len(texts) < 2:
        raise ValueError(
            f"all {len(images)} images have the same caption: there is nothing to compare it with"
        )
    if not (np.isfinite(images).all() and np.isfinite(texts).all()):
        raise ValueError("an embedding of the pairs contains NaN or infinity: check the model")
    rows, owner = captions.rows, captions.owner
    own = scale * np.einsum("md,md->m", images[owner], texts[rows])
    holders = _list_holders(rows, owner, len(texts))
    of_image, best, best_logit = _compare(images, texts, captions.of_image, scale)
    of_text, _, _ = _compare(texts, images, holders, scale)
    return PairScores(
        own - np.logaddexp(own, of_image[owner]),
        own - np.logaddexp(own, of_text[rows]),
        best[owner],
        best_logit[owner] - np.logaddexp(own, of_image[owner]),
    )


def _list_holders(rows: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """Return the images of each text, int32 `[count k]`, filled up with `NO_KEY`."""
    counts = np.bincount(rows, minlength=count)
    holders = np.full((count, counts.max()), NO_KEY, np.int32)
    holders[np.arange(holders.shape[1]) < counts[:, None]] = owner[np.argsort(rows, kind="stable")]
    return holders


def _compare(
    queries: np.ndarray, gallery: np.ndarray, own: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log-sum-exp, position and value of the largest logit over the items not `own`.

    Args:
      queries: `[q d]`.
      gallery: `[g d]`.
      own: `[q k]`, items of the gallery that are left out, filled up with `NO_KEY`.
      scale: multiplier of the dot products.
    """
    queries = queries.astype(np.float32)
    rows = max(1, min(len(queries), TILE_ELEMENTS // len(gallery)))
    own = np.where(own == NO_KEY, len(gallery), own)  # beyond the end: dropped
    placed, parts = jnp.asarray(gallery, jnp.float32), []
    for start in range(0, len(queries), rows):
        padding = ((0, max(0, start + rows - len(queries))), (0, 0))
        chunk, chunk_own = (np.pad(x[start : start + rows], padding) for x in (queries, own))
        parts.append(jax.device_get(_compare_rows(chunk, chunk_own, placed, scale)))
    sums, best, largest = (
        np.concatenate([part[column] for part in parts])[: len(queries)] for column in range(3)
    )
    return sums, best.astype(np.int64), largest


@jax.jit
def _compare_rows(
    queries: jax.Array, own: jax.Array, gallery: jax.Array, scale: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    logits = scale * jnp.matmul(queries, gallery.T, precision="highest")
    logits = logits.at[jnp.arange(len(own))[:, None], own].set(-jnp.inf, mode="drop")
    return jax.nn.logsumexp(logits, axis=1), logits.argmax(axis=1), logits.max(axis=1)


def evaluate_suspects(suspicion: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """Compare a ranking with known truth.

    Args:
      suspicion: `[m]`, higher is more suspicious.
      wrong: bool `[m]`, the pairs whose captions are wrong.

    Returns:
      auc: probability that a wrong pair ranks above a right one; NaN without both.
      precision@100: share of wrong pairs among the first 100, or among all if there are fewer.
      wrong: share of wrong pairs.
    """
    first = np.argsort(-suspicion, kind="stable")[:FIRST]
    return {
        "auc": roc_auc(suspicion, wrong),
        f"precision@{FIRST}": float(wrong[first].mean()),
        "wrong": float(wrong.mean()),
    }
