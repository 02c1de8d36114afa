"""Conversion between stacked and separate parameters of a transformer."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tests.models.small import batch, small, variables
from vujax.models import stack_blocks, unstack_blocks


def test_layouts_are_those_of_the_models_and_inverse():
    inputs = batch(1)
    separate = variables(small(), *inputs)
    stacked = stack_blocks(separate)
    shapes = jax.eval_shape(small(scan=True).init, jax.random.key(0), *inputs)
    chex.assert_trees_all_equal_shapes_and_dtypes(stacked, shapes)
    chex.assert_trees_all_equal(unstack_blocks(stacked), separate)
    chex.assert_trees_all_equal(stack_blocks(stacked), stacked)
    chex.assert_trees_all_equal(unstack_blocks(separate), separate)


def test_blocks_keep_their_order():
    tree = {f"block{i:02d}": jnp.asarray(float(i)) for i in reversed(range(101))}
    stacked = stack_blocks({"a": tree, "b": 1})
    np.testing.assert_array_equal(stacked["a"]["blocks"], np.arange(101))
    assert unstack_blocks(stacked)["a"] == tree
    assert stacked["b"] == 1
