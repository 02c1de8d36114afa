"""CLIP's ResNet: batch statistics of one device and of eight, of training and of evaluation."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec as P

from tests.models.small import RESNET, assert_close, batch, small, variables

SIZE = RESNET["image_size"]


@pytest.fixture(scope="module")
def setting():
    inputs = batch(16, SIZE)
    model = small(RESNET)
    return model, variables(model, *inputs), inputs


def train_gradient(model, weights, inputs, axis_name=None):
    """Gradient of a sum over rows, and the new batch statistics."""

    def loss(params):
        state = dict(params=params, batch_stats=weights["batch_stats"])
        (embedding, _), new = model.apply(
            state, *inputs, train=True, axis_name=axis_name, mutable=["batch_stats"]
        )
        share = jnp.sum(embedding["image"][:, 0] * embedding["text"][:, 1])
        return share, new["batch_stats"]

    return jax.grad(loss, has_aux=True)(weights["params"])


@pytest.mark.parametrize("remat", ["none", "full"])
def test_synchronised_statistics_on_eight_devices_equal_one(setting, mesh8, remat):
    model, weights, inputs = setting
    one = jax.jit(lambda w, x: train_gradient(model, w, x))(weights, inputs)
    sharded = small(RESNET, remat=remat)

    def share(weights, inputs):
        params = lax.pcast(weights["params"], "data", to="varying")
        state = dict(weights, params=params)
        gradient, stats = train_gradient(sharded, state, inputs, "data")
        return lax.psum(gradient, "data"), stats

    specs = dict(mesh=mesh8, in_specs=(P(), P("data")), out_specs=P(), check_vma=True)
    eight = jax.jit(jax.shard_map(share, **specs))(weights, inputs)
    assert_close(eight, one, 1e-4)


def test_statistics_are_used_and_updated_in_training_only(setting):
    model, weights, inputs = setting
    (train, _), updated = jax.jit(
        lambda w, *x: model.apply(w, *x, train=True, mutable=["batch_stats"])
    )(weights, *inputs)
    test, _ = jax.jit(model.apply)(weights, *inputs)
    assert np.abs(train["image"] - test["image"]).max() > 1e-3
    before, after = (v["batch_stats"]["image"]["stem"]["bn1"] for v in (weights, updated))
    assert np.abs(before["mean"] - after["mean"]).max() > 1e-4
    first, _ = jax.jit(model.apply)(weights, *(x[:1] for x in inputs))
    np.testing.assert_allclose(first["image"], test["image"][:1], atol=1e-5)


def test_intermediates(setting):
    model, weights, (image, _) = setting
    encode = lambda w, image: model.apply(w, image, method="encode_image")[1]  # noqa: E731
    shapes = jax.tree.map(lambda x: x.shape, jax.eval_shape(encode, weights, image))
    maps = dict(stem=(16, 8, 8, 8), layer1=(16, 8, 8, 32))
    maps |= dict.fromkeys(("layer2", "layer3", "layer4"), (16, 4, 4, 64))  # no third, no fourth
    assert shapes == maps | dict(pooled=(16, 64), projected=(16, 24))


def test_bfloat16_is_close(setting):
    model, weights, inputs = setting
    exact, _ = jax.jit(model.apply)(weights, *inputs)
    half, out = jax.jit(small(RESNET, dtype="bfloat16").apply)(weights, *inputs)
    assert out["image"]["layer4"].dtype == jnp.bfloat16
    chex.assert_trees_all_close(half, exact, atol=0.03)
