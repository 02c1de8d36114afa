"""CLIP's ResNet: batch statistics on one device and on eight, in training and evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec as P

from tests.models.small import assert_close, variables
from vujax.models import CLIPResNet

IMAGE = np.random.default_rng(0).normal(size=(16, 32, 32, 3)).astype(np.float32)


def resnet(**options):
    return CLIPResNet(**dict(embed_dim=24, width=8, blocks=(2, 1, 0, 0)) | options)


@pytest.fixture(scope="module")
def weights():
    return variables(resnet(), IMAGE)


def train_gradient(model, weights, image, axis_name=None):
    """Gradient of a sum over rows, and the new batch statistics."""

    def loss(params):
        features, new = model.apply(
            weights | dict(params=params),
            image,
            train=True,
            axis_name=axis_name,
            mutable=["batch_stats"],
        )
        return jnp.sum(jnp.sin(features[0])), new["batch_stats"]

    return jax.grad(loss, has_aux=True)(weights["params"])


@pytest.mark.long
def test_synchronised_statistics_on_eight_devices_equal_one(weights, mesh8):
    one = jax.jit(lambda w, x: train_gradient(resnet(), w, x))(weights, IMAGE)

    def share(weights, image):
        params = lax.pcast(weights["params"], "data", to="varying")
        model = resnet(remat="full")
        gradient, stats = train_gradient(model, weights | dict(params=params), image, "data")
        return lax.psum(gradient, "data"), stats

    specs = dict(mesh=mesh8, in_specs=(P(), P("data")), out_specs=P(), check_vma=True)
    eight = jax.jit(jax.shard_map(share, **specs))(weights, IMAGE)
    assert_close(eight, one, 1e-4)


def test_statistics_are_used_and_updated_in_training_only(weights):
    train = lambda w, x: resnet().apply(w, x, train=True, mutable=["batch_stats"])  # noqa: E731
    (trained, _), updated = jax.jit(train)(weights, IMAGE)
    evaluate = jax.jit(lambda w, x: resnet().apply(w, x)[0])
    whole = evaluate(weights, IMAGE)
    assert np.abs(trained - whole).max() > 1e-3
    before, after = (v["batch_stats"]["stem"]["bn1"] for v in (weights, updated))
    assert np.abs(before["mean"] - after["mean"]).max() > 1e-4
    np.testing.assert_allclose(evaluate(weights, IMAGE[:1]), whole[:1], atol=1e-5)


def test_intermediates(weights):
    shapes = jax.eval_shape(lambda w, x: resnet().apply(w, x)[1], weights, IMAGE)
    maps = dict(stem=(16, 8, 8, 8), layer1=(16, 8, 8, 32))
    maps |= dict.fromkeys(("layer2", "layer3", "layer4"), (16, 4, 4, 64))  # no third, no fourth
    ends = dict(pooled=(16, 64), projected=(16, 24))
    assert jax.tree.map(lambda x: x.shape, shapes) == maps | ends


def test_bfloat16_is_close(weights):
    exact, _ = jax.jit(resnet().apply)(weights, IMAGE)
    half, out = jax.jit(resnet(dtype=jnp.bfloat16).apply)(weights, IMAGE)
    assert out["layer4"].dtype == jnp.bfloat16
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, exact, atol=0.03 * np.abs(exact).max())
