"""Convolutions with float32 gradients of kernels, and norms on one device and on eight."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax
from jax.sharding import PartitionSpec as P

from tests.models.small import assert_close, variables
from vujax.models.resnet import NORMS, ConvLayers, convolve

RNG = np.random.default_rng(0)
# Levels that differ from row to row, so that no device's statistics are another's.
IMAGE = (RNG.normal(size=(16, 6, 6, 3)) + np.arange(16)[:, None, None, None]).astype(np.float32)


class Net(ConvLayers):
    """A convolution, a norm, something that is not linear."""

    @nn.compact
    def __call__(self, x):
        x = self.normalize("bn")(self.conv(32, 3, "conv")(x))
        return jnp.sin(x).mean(axis=(1, 2))


@pytest.fixture(scope="module")
def weights():
    return variables(Net(), IMAGE)


def trained(norm, weights, image, axis_name=None):
    """Return embeddings, the gradient of their weighted sum, and new statistics."""

    def loss(params):
        net = Net(train=True, axis_name=axis_name, norm=norm)
        held = weights | dict(params=params)
        vectors, new = net.apply(held, image, mutable=["batch_stats"])
        return jnp.sum(vectors**2), (vectors, new)

    gradient, (vectors, new) = jax.grad(loss, has_aux=True)(weights["params"])
    return vectors, gradient, new


ON_ONE = {norm: jax.jit(functools.partial(trained, norm)) for norm in NORMS}


def on_one(norm, weights, image=IMAGE):
    return ON_ONE[norm](weights, image)


def on_eight(norm, weights, mesh):
    def share(weights, image):
        params = lax.pcast(weights["params"], "data", to="varying")
        vectors, gradient, new = trained(norm, weights | dict(params=params), image, "data")
        return vectors, lax.psum(gradient, "data"), new

    out = (P("data"), P(), P())  # a checked shard_map refuses statistics that differ
    specs = dict(mesh=mesh, in_specs=(P(), P("data")), out_specs=out, check_vma=True)
    return jax.jit(jax.shard_map(share, **specs))(weights, IMAGE)


@pytest.mark.parametrize("norm", ["sync", "group"])
def test_devices_change_nothing(norm, weights, mesh8):
    assert_close(on_eight(norm, weights, mesh8), on_one(norm, weights), 1e-4)


def test_batch_norm_of_each_device_sees_its_own_rows_only(weights, mesh8):
    vectors, _, new = on_eight("batch", weights, mesh8)
    alone = jax.jit(jax.vmap(lambda rows: trained("batch", weights, rows)))
    parts, _, stats = alone(IMAGE.reshape(8, 2, *IMAGE.shape[1:]))
    np.testing.assert_allclose(vectors, parts.reshape(16, -1), atol=1e-5)
    assert np.abs(vectors - on_one("sync", weights)[0]).max() > 0.1
    assert_close(new, jax.tree.map(lambda each: each.mean(0), stats), 1e-5)


def test_group_norm_keeps_no_statistics_and_sees_no_other_example(weights):
    assert set(jax.eval_shape(Net(norm="group").init, jax.random.key(0), IMAGE)) == {"params"}
    few = slice(3, 5)
    for norm, least, most in (("group", 0, 1e-6), ("sync", 0.1, 10)):
        whole, part = (on_one(norm, weights, rows)[0] for rows in (IMAGE, IMAGE[few]))
        assert least <= np.abs(whole[few] - part).max() <= most


@pytest.mark.parametrize("norm", NORMS)
def test_parameters_have_the_same_names(norm, weights):
    shapes = jax.eval_shape(Net(norm=norm).init, jax.random.key(0), IMAGE)["params"]
    assert jax.tree.structure(shapes) == jax.tree.structure(weights["params"])


@pytest.mark.parametrize(
    ("size", "stride", "hw"), [(3, 1, (5, 6)), (3, 2, (5, 6)), (7, 2, (8, 9)), (1, 2, (4, 5))]
)
def test_gradients_are_those_of_the_plain_convolution(size, stride, hw):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, *hw, 3)).astype(np.float32)
    kernel = rng.normal(size=(size, size, 3, 4)).astype(np.float32)
    plain = nn.Conv(4, (size, size), stride, padding=size // 2, use_bias=False)

    def loss(conv):
        return lambda x, kernel: jnp.sum(jnp.sin(conv(x, kernel)))

    ours = loss(lambda x, kernel: convolve(x, kernel, stride, size // 2))
    theirs = loss(lambda x, kernel: plain.apply({"params": {"kernel": kernel}}, x))
    found, wanted = (jax.value_and_grad(f, (0, 1))(x, kernel) for f in (ours, theirs))
    assert_close(found, wanted, 1e-5)


def test_bfloat16_gradients_of_kernels_keep_float32_digits():
    rng = np.random.default_rng(2)
    x, g = (jnp.asarray(rng.normal(size=(8, 16, 16, c)), jnp.bfloat16) for c in (3, 4))
    kernel = rng.normal(size=(3, 3, 3, 4)).astype(np.float32)
    loss = lambda k, x: jnp.sum(convolve(x, k, 1, 1) * g, dtype=jnp.float32)  # noqa: E731
    by_kernel, by_x = jax.grad(loss, (0, 1))(kernel, x)
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    places = [padded[:, i : i + 16, j : j + 16] for i in range(3) for j in range(3)]
    exact = np.einsum("pbhwc,bhwd->pcd", places, np.asarray(g, np.float64))
    np.testing.assert_allclose(by_kernel, exact.reshape(3, 3, 3, 4), rtol=1e-5, atol=1e-4)
    assert (by_kernel.dtype, by_x.dtype) == (jnp.float32, jnp.bfloat16)


@pytest.mark.parity
def test_group_norm_is_torchs():
    import torch

    class Norm(ConvLayers):
        @nn.compact
        def __call__(self, x):
            return self.normalize("bn")(x)

    x = RNG.normal(size=(4, 5, 5, 48)).astype(np.float32)
    norm = Norm(norm="group")
    weights = variables(norm, x)
    scale, bias = (np.array(weights["params"]["bn"][name]) for name in ("scale", "bias"))
    options = dict(weight=torch.tensor(scale), bias=torch.tensor(bias), eps=1e-5)
    wanted = torch.nn.functional.group_norm(torch.tensor(x).permute(0, 3, 1, 2), 3, **options)
    np.testing.assert_allclose(norm.apply(weights, x), wanted.permute(0, 2, 3, 1), atol=1e-5)
