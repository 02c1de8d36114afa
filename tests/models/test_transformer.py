"""Shared transformer: layouts, recomputation and precision change only the cost."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.small import assert_close, batch, small, variables
from vujax.models import Transformer, TransformerConfig, stack_blocks
from vujax.models.layers import ACTIVATIONS
from vujax.models.transformer import REMAT_POLICIES

STREAM = np.random.default_rng(0).normal(size=(3, 6, 32)).astype(np.float32)


def stack(**options):
    return Transformer(TransformerConfig(**dict(layers=2, heads=4, causal=True) | options))


def loss_and_gradient(model, weights):
    """Compute a loss of the last stream and an intermediate one, with its gradient."""

    def loss(weights):
        x, out = model.apply(weights, STREAM)
        first = out["blocks"][0] if model.config.scan else out["block00"]
        return jnp.mean(x**2 + jnp.sin(first))

    return jax.jit(jax.value_and_grad(loss))(weights)


@pytest.fixture(scope="module")
def plain():
    weights = variables(stack(), STREAM)
    return weights, loss_and_gradient(stack(), weights)


def test_scan_equals_no_scan(plain):
    weights, (loss, gradient) = plain
    scanned = loss_and_gradient(stack(scan=True), stack_blocks(weights))
    assert_close(scanned, (loss, stack_blocks(gradient)))


def test_scan_has_its_own_weights_per_layer():
    params = jax.jit(stack(scan=True).init)(jax.random.key(0), STREAM)["params"]
    kernels = params["blocks"]["attn"]["query"]["kernel"]
    assert kernels.shape == (2, 32, 32)
    assert not np.allclose(kernels[0], kernels[1])
    np.testing.assert_allclose(np.std(kernels, axis=(1, 2)), 32**-0.5, rtol=0.1)


@pytest.mark.parametrize(
    ("remat", "scan"),
    [*((name, False) for name in REMAT_POLICIES if name != "none"), ("full", True)],
)
def test_remat_changes_no_gradient(plain, remat, scan):
    weights, (loss, gradient) = plain
    layout = stack_blocks if scan else (lambda tree: tree)
    again = loss_and_gradient(stack(remat=remat, scan=scan), layout(weights))
    assert_close(again, (loss, layout(gradient)))


def stored(remat: str) -> int:
    """Count the values that the forward pass saves for the backward pass, except weights."""
    model = stack(remat=remat)
    weights = jax.eval_shape(model.init, jax.random.key(0), STREAM)
    pull_back = lambda w: jax.vjp(lambda w: model.apply(w, STREAM)[0], w)[1]  # noqa: E731
    kept = jax.tree.leaves(jax.eval_shape(pull_back, weights))
    return sum(leaf.size for leaf in kept) - sum(leaf.size for leaf in jax.tree.leaves(weights))


def test_remat_stores_less():
    sizes = [stored(name) for name in ("none", "dots_saveable", "full")]
    assert sizes == sorted(sizes, reverse=True)
    assert 0 < sizes[-1] < sizes[0] / 4


def test_bfloat16_is_close_and_parameters_stay_float32(plain):
    weights, _ = plain
    half = stack(dtype=jnp.bfloat16)
    shapes = jax.eval_shape(half.init, jax.random.key(0), STREAM)
    chex.assert_trees_all_equal_shapes_and_dtypes(shapes, weights)
    exact, _ = jax.jit(stack().apply)(weights, STREAM)
    rounded, out = jax.jit(half.apply)(weights, STREAM.astype(jnp.bfloat16))
    assert {x.dtype for x in out.values()} == {jnp.dtype("bfloat16")}
    np.testing.assert_allclose(rounded.astype(np.float32), exact, atol=0.02 * np.abs(exact).max())


def test_causal_positions_see_no_later_ones(plain):
    weights, _ = plain
    changed = np.where(np.arange(6)[:, None] == 3, 1.0, STREAM)
    (before, _), (after, _) = (jax.jit(stack().apply)(weights, x) for x in (STREAM, changed))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.abs(before[:, 3:] - after[:, 3:]).max(axis=(0, 2)).min() > 1e-3
    both, _ = jax.jit(stack(causal=False).apply)(weights, changed)
    assert np.abs(both[:, :3] - after[:, :3]).min(axis=2).max() > 1e-4


def test_activations_differ_little():
    x = jnp.linspace(-4, 4, 101)
    exact, quick = ACTIVATIONS["gelu"](x), ACTIVATIONS["quick_gelu"](x)
    assert 0.005 < np.abs(exact - quick).max() < 0.03


def test_shard_sees_the_stream_around_every_block():
    shapes = []

    def watch(x):
        shapes.append(x.shape)
        return x

    model = small(shard=watch)
    jax.eval_shape(model.init, jax.random.key(0), *batch(4))
    assert shapes == [(4, 5, 32)] * 3 + [(4, 12, 32)] * 3
