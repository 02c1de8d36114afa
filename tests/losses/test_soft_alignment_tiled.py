"""Losses of single rows, and gradients with unequal weights of rows."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.cases import embeddings, half, in_float32, in_float64, worst
from vujax.losses import _tiling, reference
from vujax.losses._soft_alignment_tiled import Settings, Soft, row_losses

N, D = 40, 16


def dense(image, text, scale, weight, teacher, target: str) -> tuple[jax.Array, jax.Array]:
    """Compute the cross-entropies of images' rows and texts' rows."""
    logits = reference.scaled_similarity(image, text, scale)
    soft = reference.soft_targets(reference.scaled_similarity(*teacher, scale), target)
    of_images, of_texts = (
        (1 - weight)[:, None] * jnp.eye(N) + weight[:, None] * of_side for of_side in soft
    )
    return (
        reference.cross_entropy(logits, of_images),
        reference.cross_entropy(logits.T, of_texts),
    )


@pytest.mark.parametrize("target", ["swapped_rows", "plain", "half_columns"])
def test_each_row_pays_its_own_cross_entropy(target: str):
    image, text = embeddings(N, D)
    teacher, weight = embeddings(N, D, seed=1), half(N) * np.float32(0.7)
    counts = np.random.default_rng(3).normal(size=(2, N)).astype(np.float32)  # of either sign
    settings = Settings(_tiling.choose_layout((N, D), None, 16), target, "highest")

    def ours(image, text, scale, weight, teacher):
        return row_losses(settings, (image, text), scale, Soft(weight, teacher, None))

    def exact(*arguments):
        return dense(*arguments, target)

    def counted(rows):
        return lambda *arguments: (counts * jnp.stack(rows(*arguments))).sum()

    arguments = (image, text, np.float32(20))
    chex.assert_trees_all_close(
        jax.jit(ours)(*arguments, weight, teacher), exact(*arguments, weight, teacher), atol=1e-5
    )
    _, gradients = in_float32(counted(ours), *arguments, fixed=(weight, teacher))
    _, expected = in_float64(counted(exact), *arguments, fixed=(weight, teacher))
    assert worst(gradients, expected) < 1e-5
