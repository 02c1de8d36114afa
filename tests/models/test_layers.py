"""Products in bfloat16 with gradients that are summed in float32."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from vujax.models.layers import Dense, add_bias, multiply


def inputs(dtype):
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (16, 32, 8)).astype(dtype)
    kernel = jax.random.normal(keys[1], (8, 4))
    return x, kernel, jax.random.normal(keys[2], (16, 32, 4)).astype(dtype)


def test_in_float32_it_is_the_plain_product():
    x, kernel, weight = inputs(jnp.float32)
    chex.assert_trees_all_close(multiply(x, kernel), x @ kernel, rtol=1e-6)
    found = jax.grad(lambda x, k: (multiply(x, k) * weight).sum(), (0, 1))(x, kernel)
    plain = jax.grad(lambda x, k: ((x @ k) * weight).sum(), (0, 1))(x, kernel)
    chex.assert_trees_all_close(found, plain, rtol=1e-4, atol=1e-5)


def test_bfloat16_gradients_of_parameters_keep_float32_digits():
    x, kernel, weight = inputs(jnp.bfloat16)
    bias = jnp.zeros(4)

    def loss(kernel, bias):
        return (add_bias(multiply(x, kernel), bias) * weight).sum(dtype=jnp.float32)

    by_kernel, by_bias = jax.grad(loss, (0, 1))(kernel, bias)
    exact = [np.asarray(a, np.float64) for a in (x, weight)]
    np.testing.assert_allclose(by_kernel, np.einsum("abd,abe->de", *exact), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(by_bias, exact[1].sum((0, 1)), rtol=1e-5, atol=1e-4)
    assert by_kernel.dtype == by_bias.dtype == jnp.float32


def test_a_layer_computes_in_its_dtype_and_keeps_float32_parameters():
    x, _, _ = inputs(jnp.float32)
    layer = Dense(4, 0.5, jnp.bfloat16)
    variables = layer.init(jax.random.key(0), x)
    chex.assert_tree_shape_prefix(variables["params"]["kernel"], (8, 4))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    assert layer.apply(variables, x).dtype == jnp.bfloat16
