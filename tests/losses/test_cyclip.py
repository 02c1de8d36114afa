"""CyCLIP's terms from d x d products against full matrices."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.cases import assert_equal, embeddings, in_float32, in_float64, on_mesh, unit
from vujax.losses import cyclip, reference

WEIGHTS = [
    {"in_modal": 0.25, "cross_modal": 0.25},
    {"in_modal": 1.0, "cross_modal": 0.0},
    {"in_modal": 0.0, "cross_modal": 1.0},
]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize(("n", "d"), [(200, 32), (7, 64), (1, 8)])
def test_matches_the_dense_loss_in_float64(weights: dict[str, float], n: int, d: int):
    arguments = embeddings(n, d)
    value, gradients = in_float32(lambda *a: cyclip(*a, **weights), *arguments)
    expected, exact = in_float64(lambda *a: reference.cyclip(*a, **weights), *arguments)
    chex.assert_trees_all_close(value, expected, rtol=1e-5, atol=1e-7)
    chex.assert_trees_all_close(gradients, exact, rtol=0, atol=1e-5)


def test_digits_are_kept_where_the_modalities_nearly_agree():
    image, _ = embeddings(200, 32)
    arguments = (image, unit(image + 1e-3 * np.random.default_rng(1).normal(size=image.shape)))
    for weights in WEIGHTS:
        ours = in_float32(lambda *a, w=weights: cyclip(*a, **w), *arguments)
        exact = in_float64(lambda *a, w=weights: reference.cyclip(*a, **w), *arguments)
        chex.assert_trees_all_close(ours[0], exact[0], rtol=1e-4)
    assert cyclip(image, image) == 0


def test_raw_gradients_of_eight_devices_are_those_of_one(mesh8):
    arguments = embeddings(104, 24)

    def share(rows, shared, _):
        return cyclip(*rows, in_modal=0.5, cross_modal=0.25, axis_name="data")

    eight = on_mesh(mesh8, share, arguments, ())
    assert_equal(eight, in_float64(lambda *a: reference.cyclip(*a, in_modal=0.5), *arguments))


def test_shapes_that_do_not_fit():
    image, text = embeddings(6, 4)
    with pytest.raises(ValueError, match="cyclip: embeddings have shapes"):
        cyclip(image, text[:, :3])
    assert cyclip(jnp.asarray(image, jnp.bfloat16), text).dtype == jnp.float32
