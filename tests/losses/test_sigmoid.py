"""Tiled sigmoid loss against the dense one in float64, on one device and on eight."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.cases import (
    assert_equal,
    embeddings,
    in_float32,
    in_float64,
    largest_array,
    on_mesh,
    worst,
)
from vujax.losses import reference, sigmoid


def test_matches_the_dense_loss_in_float64():
    image, text = embeddings(2048, 512)
    for scale, bias in ((10.0, -10.0), (100.0, -20.0)):
        arguments = (image, text, np.float32(scale), np.float32(bias))
        value, gradients = in_float32(sigmoid, *arguments)
        expected, exact = in_float64(reference.sigmoid, *arguments)
        assert abs(value - expected) < 1e-5 * max(abs(expected), 1e-3)
        assert worst(gradients, exact) < 1e-5


@pytest.mark.parametrize(("n", "tile"), [(97, 16), (64, 64), (5, 2), (1, 4)])
def test_any_number_of_rows_in_any_tiles(n: int, tile: int):
    arguments = (*embeddings(n, 24), np.float32(20), np.float32(-8))
    ours = in_float32(lambda *a: sigmoid(*a, tile=tile), *arguments)
    exact = in_float64(reference.sigmoid, *arguments)
    assert_equal(ours, exact)
    alone = sigmoid(*arguments, tile=tile)  # the pass for the value alone
    chex.assert_trees_all_close(float(alone), exact[0], rtol=1e-5)


def test_raw_gradients_of_eight_devices_are_those_of_one(mesh8):
    image, text = embeddings(104, 24)

    def share(rows, shared, _):
        return sigmoid(*rows, *shared, axis_name="data", tile=5)

    shared = (np.float32(20), np.float32(-8))
    eight = on_mesh(mesh8, share, (image, text), shared)
    assert_equal(eight, in_float32(sigmoid, image, text, *shared))
    assert_equal(eight, in_float64(reference.sigmoid, image, text, *shared))


def test_finite_and_exact_at_extreme_logits():
    image, _ = embeddings(20, 8)
    for texts in (image, -image):
        arguments = (image, texts, np.float32(100), np.float32(-50))
        value, gradients = in_float32(lambda *a: sigmoid(*a, tile=8), *arguments)
        expected, exact = in_float64(reference.sigmoid, *arguments)
        chex.assert_trees_all_close(value, expected, rtol=1e-5)
        assert all(np.isfinite(g).all() for g in gradients)
        assert worst(gradients, exact) < 1e-4


def test_bfloat16_embeddings_are_summed_in_float32():
    low = [jnp.asarray(x, jnp.bfloat16) for x in embeddings(300, 64)]
    arguments = (*low, np.float32(20), np.float32(-8))
    value, gradients = in_float32(lambda *a: sigmoid(*a, tile=128), *arguments)
    expected, exact = in_float64(reference.sigmoid, *arguments)
    assert gradients[0].dtype == jnp.bfloat16
    chex.assert_trees_all_close(value, expected, rtol=1e-5)
    assert worst([g.astype(np.float32) for g in gradients], exact) < 1e-2


@pytest.mark.usefixtures("optimized")
def test_temporaries_are_small():
    n, d = 65536, 512
    rows, scalar = jax.ShapeDtypeStruct((n, d), jnp.float32), jax.ShapeDtypeStruct((), jnp.float32)
    function = jax.jit(jax.value_and_grad(sigmoid, (0, 1, 2, 3)))
    program = function.lower(rows, rows, scalar, scalar).compile()
    assert program.memory_analysis().temp_size_in_bytes < 0.5 * 2**30
    assert largest_array(program.as_text()) <= n * d


def test_errors_name_the_argument_and_the_remedy():
    image, text = embeddings(6, 4)
    with pytest.raises(ValueError, match="sigmoid: embeddings have shapes"):
        sigmoid(image, text[:5], 10.0, -10.0)
