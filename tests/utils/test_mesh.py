"""Meshes and global batches."""

import jax
import numpy as np
import pytest

from vujax.utils.mesh import make_global_batch, row_sharding


def test_rows_are_divided_in_order(mesh8):
    batch = make_global_batch(mesh8, {"x": np.arange(16)})["x"]
    assert batch.sharding == row_sharding(mesh8)
    assert [s.data.tolist() for s in batch.addressable_shards][:2] == [[0, 1], [2, 3]]
    np.testing.assert_array_equal(jax.device_get(batch), np.arange(16))


def test_uneven_rows_are_one_clear_error(mesh8):
    with pytest.raises(ValueError, match=r"'x' has 12 rows .* multiple of 8"):
        make_global_batch(mesh8, {"x": np.arange(12)})
