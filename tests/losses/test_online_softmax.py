"""Online sums against direct ones."""

import chex
import numpy as np
import pytest

from vujax.losses import _online_softmax


def whole(logits: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gap and mean of rows `[n m]`, in float64, with the own pair's logit 0 and value 0."""
    weights = np.exp(logits.astype(np.float64))
    total = weights.sum(1)
    return np.log1p(total), (weights * values).sum(1) / (1 + total)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("height", [0.0, -60.0, 120.0])  # float32 exp ends at 88
def test_tiles_add_up(axis: int, height: float):
    rng = np.random.default_rng(0)
    logits = np.float32(height + 5 * rng.normal(size=(6, 20)))
    values = np.float32(1 + rng.random(size=(6, 20)))
    sums = _online_softmax.empty_sums(logits[:, 0], with_mean=True)
    for part in (slice(0, 5), slice(5, 6), slice(6, 20)):
        tile, value = logits[:, part], values[:, part]
        sums = _online_softmax.add_tile(sums, *((tile, value) if axis else (tile.T, value.T)), axis)
    gap, mean = whole(logits, values)
    chex.assert_trees_all_close(_online_softmax.compute_gap(sums), gap, rtol=1e-5)
    chex.assert_trees_all_close(_online_softmax.compute_mean(sums), mean, rtol=1e-5)


def test_alone_the_gap_is_zero():
    sums = _online_softmax.empty_sums(np.ones(3, np.float32), with_mean=True)
    chex.assert_trees_all_equal(_online_softmax.compute_gap(sums), np.zeros(3))
    chex.assert_trees_all_equal(_online_softmax.compute_mean(sums), np.zeros(3))
