"""Depthwise convolutions against XLA's, by platform and as shifted sums."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from vujax.models.efficientnet import convolve_depthwise, convolve_shifted

HOW = dict(dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=6)


@pytest.mark.parametrize("size", [(7, 7), (8, 5), (1, 2), (6, 9)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("width", [3, 5])
def test_equal_to_grouped_convolution(size: tuple[int, int], stride: int, width: int) -> None:
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, *size, 6)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(width, width, 1, 6)), jnp.float32)
    strides = (stride, stride)
    plain = lax.conv_general_dilated(x, kernel, strides, "SAME", **HOW)
    chex.assert_trees_all_close(convolve_shifted(x, kernel, strides=strides), plain, atol=1e-5)
    chex.assert_trees_all_close(
        convolve_depthwise(x, kernel, strides, "SAME", **HOW), plain, atol=1e-5
    )


def test_only_cpus_sum_shifted_maps() -> None:
    x, kernel = jnp.zeros((1, 8, 8, 6)), jnp.zeros((3, 3, 1, 6))
    traced = jax.jit(lambda x, k: convolve_depthwise(x, k, (1, 1), "SAME", **HOW)).trace(x, kernel)
    texts = {name: traced.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "tpu")}
    assert {k: "stablehlo.convolution" in v for k, v in texts.items()} == dict(cpu=False, tpu=True)
