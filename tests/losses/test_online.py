"""Online sums against whole ones."""

import chex
import numpy as np
import pytest

from vujax.losses import online


def whole(own: np.ndarray, logits: np.ndarray, values: np.ndarray) -> tuple:
    """Gap and mean of rows, in float64, the own pair beside the others' `[n m]`."""
    everything = np.concatenate([own[:, None], logits], axis=1).astype(np.float64)
    weights = np.exp(everything - everything.max(1, keepdims=True))
    mean = (weights[:, 1:] * values).sum(1) / weights.sum(1)
    return np.log(weights.sum(1)) + everything.max(1) - everything[:, 0], mean


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("height", [0.0, 90.0, -90.0])
def test_tiles_add_up(axis: int, height: float):
    """`height`: of the own pair's logit above the others; beyond it float32 exp over- and underflows."""
    rng = np.random.default_rng(0)
    own = rng.normal(size=6).astype(np.float32) + np.float32(height)
    logits = 5 * rng.normal(size=(6, 20)).astype(np.float32)
    values = rng.normal(size=(6, 20)).astype(np.float32)
    sums = online.start(own, with_mean=True)
    for part in (slice(0, 5), slice(5, 6), slice(6, 20)):
        tile, value = logits[:, part], values[:, part]
        sums = online.absorb(sums, *((tile, value) if axis else (tile.T, value.T)), axis)
    gap, mean = whole(own, logits, values)
    chex.assert_trees_all_close(online.gap(sums, own), gap, rtol=1e-5, atol=1e-35)
    chex.assert_trees_all_close(online.mean(sums, own), mean, rtol=1e-4, atol=1e-35)


def test_a_gap_near_zero_keeps_its_digits():
    own, others = np.float32([20.0]), np.float32([[-1.0, 2.0, 0.5]])
    sums = online.absorb(online.start(own, with_mean=False), others, others, 1)
    chex.assert_trees_all_close(
        online.gap(sums, own), np.log1p(np.exp(others - 20.0).sum(1)), rtol=1e-6
    )


def test_alone_the_gap_is_zero():
    sums = online.start(np.float32([3.0]), with_mean=True)
    assert online.gap(sums, np.float32([3.0])) == 0
    assert online.mean(sums, np.float32([3.0])) == 0
