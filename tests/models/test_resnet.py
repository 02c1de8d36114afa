"""Residual networks: published sizes, parity with another implementation, any channels."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.small import variables
from tests.models.test_convert import moved
from vujax.models.resnet import Block, ResNet, from_torchvision, get_resnet_sizes

IMAGE = np.random.default_rng(0).normal(size=(4, 32, 32, 9)).astype(np.float32)
SIZES = dict(width=8, blocks=(2, 1, 1, 1))

PUBLISHED = {  # without the classifier's 513 or 2049 numbers for each of 1000 classes
    ("RN18", 3): 11_689_512 - 513_000,
    ("RN34", 3): 21_797_672 - 513_000,
    ("RN50", 3): 25_557_032 - 2_049_000,
    ("RN101", 3): 44_549_160 - 2_049_000,
    ("RN50", 9): 25_557_032 - 2_049_000 + 7 * 7 * 6 * 64,  # three keyframes stacked
}


@pytest.fixture(scope="module")
def weights():
    return variables(ResNet(**SIZES), IMAGE)


def shapes(net, channels=3):
    image = jax.ShapeDtypeStruct((1, 224, 224, channels), jnp.float32)
    return jax.eval_shape(net.init_with_output, jax.random.key(0), image)


@pytest.mark.parametrize(("variant", "channels"), PUBLISHED)
def test_parameter_counts_are_the_published_ones(variant, channels):
    _, held = shapes(ResNet(**get_resnet_sizes(variant)), channels)
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(held["params"]))
    assert count == PUBLISHED[variant, channels]


@pytest.mark.parametrize("variant", ["Mu", "RN50"])
def test_intermediates(variant):
    net = ResNet(**get_resnet_sizes(variant))
    (features, out), _ = shapes(net)
    base, wide = net.width, 4 if net.bottleneck else 1
    wanted = {f"layer{i + 1}": (1, 56 >> i, 56 >> i, base * wide << i) for i in range(4)}
    wanted |= dict(stem=(1, 56, 56, base), features=(1, net.dim))
    assert {name: leaf.shape for name, leaf in out.items()} == wanted
    assert features.shape == (1, net.dim)


@pytest.fixture(scope="module")
def evaluate():
    return jax.jit(lambda w, x: ResNet(**SIZES).apply(w, x)[0])


def test_evaluation_sees_no_other_image(weights, evaluate):
    whole = evaluate(weights, IMAGE)
    padded = np.concatenate([IMAGE[:2], np.full_like(IMAGE[:2], 1e3)])
    np.testing.assert_array_equal(evaluate(weights, padded)[:2], whole[:2])


def test_bfloat16_is_close(weights, evaluate):
    exact = evaluate(weights, IMAGE)
    half, out = jax.jit(ResNet(**SIZES, dtype=jnp.bfloat16).apply)(weights, IMAGE)
    assert out["layer4"].dtype == jnp.bfloat16
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, exact, atol=0.05 * np.abs(exact).max())


def test_a_block_starts_as_its_skip_connection():
    block, x = Block(width=12, bottleneck=False), IMAGE[..., :3].reshape(4, 16, 16, 12)
    quick_to_compile = jax.random.key(0, impl="rbg")
    y, _ = jax.jit(block.init_with_output)(quick_to_compile, x)
    np.testing.assert_array_equal(y, np.maximum(x, 0))


def hugging_face(net, channels):
    from transformers import ResNetConfig, ResNetModel

    wide = 4 if net.bottleneck else 1
    config = ResNetConfig(
        num_channels=channels,
        embedding_size=net.width,
        hidden_sizes=[net.width * wide << i for i in range(4)],
        depths=list(net.blocks),
        layer_type="bottleneck" if net.bottleneck else "basic",
    )
    return moved(ResNetModel(config))


def torchvision_name(name):
    """Translate the name of a tensor in transformers' ResNetModel."""
    leaf = dict(convolution="conv", normalization="bn")
    if match := re.fullmatch(r"embedder\.embedder\.(\w+)\.(.+)", name):
        return f"{leaf[match[1]]}1.{match[2]}"
    place = r"encoder\.stages\.(\d)\.layers\.(\d+)\."
    if match := re.fullmatch(place + r"shortcut\.(\w+)\.(.+)", name):
        part = 0 if match[3] == "convolution" else 1
        return f"layer{int(match[1]) + 1}.{match[2]}.downsample.{part}.{match[4]}"
    match = re.fullmatch(place + r"layer\.(\d)\.(\w+)\.(.+)", name)
    stage, number = int(match[1]) + 1, int(match[3]) + 1
    return f"layer{stage}.{match[2]}.{leaf[match[4]]}{number}.{match[5]}"


@pytest.mark.parity
@pytest.mark.parametrize("bottleneck", [True, False])
def test_numbers_are_another_implementations(bottleneck):
    import torch

    net = ResNet(**SIZES, bottleneck=bottleneck)
    original = hugging_face(net, IMAGE.shape[-1])
    tensors = {torchvision_name(k): v.numpy() for k, v in original.state_dict().items()}
    classifier = {"fc.weight": np.zeros((5, net.dim)), "fc.bias": np.zeros(5)}
    template = jax.eval_shape(net.init, jax.random.key(0), IMAGE)
    held = from_torchvision(tensors | classifier, template)
    features, out = jax.jit(net.apply)(held, IMAGE)
    with torch.no_grad():
        wanted = original(torch.tensor(IMAGE).permute(0, 3, 1, 2))
    np.testing.assert_allclose(features, wanted.pooler_output[..., 0, 0], atol=1e-4)
    last = wanted.last_hidden_state.permute(0, 2, 3, 1)
    np.testing.assert_allclose(out["layer4"], last, atol=1e-4)
    tensors.pop("layer3.0.bn2.running_var")
    with pytest.raises(ValueError, match=r"no tensor for 1 leaves.*layer3_00/bn2/var"):
        from_torchvision(tensors, template)
