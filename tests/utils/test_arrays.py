"""L2 normalization."""

import numpy as np
import pytest

from vujax.models import layers
from vujax.utils.arrays import l2_normalize


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_have_length_one_and_keep_their_dtype(dtype):
    rows = np.array([[[3, 4], [0, 0]], [[1e-6, 0], [-5, 12]]], dtype)
    found = l2_normalize(rows)
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found, [[[0.6, 0.8], [0, 0]], [[1, 0], [-5 / 13, 12 / 13]]], rtol=1e-6
    )


def test_both_libraries_agree():
    rows = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    np.testing.assert_allclose(layers.l2_normalize(rows), l2_normalize(rows), rtol=1e-6)


def test_root_mean_square_is_another_scale():
    rows = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    np.testing.assert_allclose(layers.rms_normalize(rows), 4 * l2_normalize(rows), rtol=1e-6)
