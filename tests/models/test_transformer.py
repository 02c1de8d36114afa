"""The shared transformer: layouts, recomputation and precision change nothing but cost."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.small import TEXT, assert_close, batch, small, variables
from vujax.models import Transformer, stack_blocks
from vujax.models.transformer import ACTIVATIONS, REMAT


def loss_and_gradient(model, variables, inputs):
    def loss(variables):
        embedding, _ = model.apply(variables, *inputs)
        return jnp.sum((embedding["image"] @ embedding["text"].T) ** 2 * embedding["scale"])

    return jax.jit(jax.value_and_grad(loss))(variables)


@pytest.fixture(scope="module")
def plain():
    inputs = batch(4)
    model = small()
    weights = variables(model, *inputs)
    return inputs, weights, loss_and_gradient(model, weights, inputs)


def test_scan_equals_no_scan(plain):
    inputs, weights, (loss, gradient) = plain
    scanned = loss_and_gradient(small(scan=True), stack_blocks(weights), inputs)
    assert_close(scanned, (loss, stack_blocks(gradient)))


def test_scan_has_its_own_weights_per_layer():
    model = small(scan=True)
    params = jax.jit(model.init)(jax.random.key(0), *batch(1))["params"]
    kernels = params["text"]["transformer"]["blocks"]["attn"]["query"]["kernel"]
    assert kernels.shape == (TEXT["layers"], TEXT["width"], TEXT["width"])
    assert not np.allclose(kernels[0], kernels[1])


@pytest.mark.parametrize(
    ("remat", "scan"), [*((name, False) for name in REMAT if name != "none"), ("full", True)]
)
def test_remat_changes_no_gradient(plain, remat, scan):
    inputs, weights, (loss, gradient) = plain
    layout = stack_blocks if scan else (lambda tree: tree)
    again = loss_and_gradient(small(remat=remat, scan=scan), layout(weights), inputs)
    assert_close(again, (loss, layout(gradient)))


def stored(remat: str) -> int:
    """Bytes that the forward pass of a stack keeps for the backward pass."""
    model = Transformer(layers=4, heads=4, remat=remat)
    x = jax.ShapeDtypeStruct((2, 8, 32), jnp.float32)
    params = jax.eval_shape(model.init, jax.random.key(0), x)
    residuals = jax.eval_shape(
        lambda p, x: jax.vjp(lambda p: model.apply(p, x)[0], p)[1], params, x
    )
    return sum(leaf.size for leaf in jax.tree.leaves(residuals))


def test_remat_stores_less():
    sizes = [stored(name) for name in ("none", "dots_saveable", "full")]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 2


def test_bfloat16_is_close_and_parameters_stay_float32(plain):
    inputs, weights, _ = plain
    half = small(dtype="bfloat16")
    chex.assert_trees_all_equal_shapes_and_dtypes(
        jax.eval_shape(half.init, jax.random.key(0), *inputs), weights
    )
    exact, _ = jax.jit(small().apply)(weights, *inputs)
    rounded, out = jax.jit(half.apply)(weights, *inputs)
    assert out["image"]["block00"].dtype == jnp.bfloat16
    chex.assert_trees_all_equal_dtypes(rounded, exact)
    chex.assert_trees_all_close(rounded, exact, atol=0.02)
    assert np.abs(rounded["image"] - exact["image"]).max() > 1e-6


def test_gradient_is_finite_and_reaches_every_parameter(plain):
    _, _, (_, gradient) = plain
    chex.assert_tree_all_finite(gradient)
    params = gradient["params"]
    table = params["text"]["token_embedding"]  # rows of absent tokens have no gradient
    assert np.abs(table).max() > 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        # A key's bias moves all logits of a query alike, which the softmax does not see.
        if "'key']['bias'" not in jax.tree_util.keystr(path):
            assert np.abs(leaf).max() > 1e-8, jax.tree_util.keystr(path)


def test_activations_differ_little():
    x = jnp.linspace(-4, 4, 101)
    exact, quick = ACTIVATIONS["gelu"](x), ACTIVATIONS["quick_gelu"](x)
    assert 0.005 < np.abs(exact - quick).max() < 0.03


def test_shard_sees_the_stream_around_every_block():
    shapes = []

    def watch(x):
        shapes.append(x.shape)
        return x

    inputs = batch(4)
    model = small(shard=watch)
    jax.eval_shape(model.init, jax.random.key(0), *inputs)
    assert shapes == [(4, 5, 32)] * 3 + [(4, 12, 32)] * 3
