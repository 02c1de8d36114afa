"""Networks through OpenVINO against JAX."""

import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

if importlib.util.find_spec("openvino") is None:  # an import here would load its telemetry
    pytest.skip("the extra [openvino] is not installed", allow_module_level=True)
from tests.models.small import variables
from vujax import models
from vujax.models import efficientnet, minilm, openvino_graph, transnetv2
from vujax.models.inference import OpenVinoFunction, OpenVinoRows
from vujax.video.shots.transnetv2 import compute_probabilities, open_with_openvino

TEXT = dict(width=8, layers=1, heads=1, context=4, vocab=16)
TOWERS: tuple[dict[str, Any], ...] = (
    dict(image=dict(kind="vit", variant="Mu/16", image_size=32), act="quick_gelu"),
    dict(
        image=dict(kind="vit", variant="Mu/16", image_size=32, pool="attention", stem="plain"),
        act="gelu_tanh",
        embed_dim=128,
    ),
    dict(image=dict(kind="resnet", variant="RN50", image_size=64, width=8, blocks=(1, 1, 1, 1))),
)


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


@pytest.mark.parametrize(
    ("precision", "atol"), [("f32", 1e-4), ("bf16", 0.02)], ids=["f32", "bf16"]
)
def test_shot_probabilities_are_those_of_jax(precision: str, atol: float) -> None:
    frames = draw(20, 27, 48, 3)
    frames[10:] //= 3
    weights = variables(transnetv2.TransNetV2(), frames[None])
    found = open_with_openvino(weights, precision)(frames)
    np.testing.assert_allclose(found, compute_probabilities(weights, frames), atol=atol)


def test_the_trunk_has_the_parameters_of_the_network() -> None:
    frames = draw(1, 4, 27, 48, 3)
    whole = jax.eval_shape(transnetv2.TransNetV2().init, jax.random.key(0), frames)
    part = jax.eval_shape(transnetv2.Trunk().init, jax.random.key(0), frames)
    for name, tree in part.items():
        assert tree == {key: whole[name][key] for key in tree}


def test_lite_features_are_those_of_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "STAGES", efficientnet.STAGES[:3])
    images, model = draw(2, 64, 64, 3), efficientnet.EfficientNetLite0()
    weights = variables(model, images)
    function = lambda v, x: model.apply(v, x)[0]  # noqa: E731
    [found] = OpenVinoFunction(function, weights, "f32")(images)
    np.testing.assert_allclose(found, jax.jit(function)(weights, images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("settings", TOWERS, ids=["clip", "siglip", "resnet"])
def test_image_towers_are_those_of_jax(settings: dict[str, Any]) -> None:
    model = models.build_clip(**{**settings, "image": dict(settings["image"])}, text=TEXT)
    images = draw(3, *model.image_spec.shape)
    weights = variables(model, images, np.zeros((3, 4), np.int32))
    function = lambda v, x: model.apply(v, x, method="encode_image")[0]  # noqa: E731
    expected = np.asarray(jax.jit(function)(weights, images))
    np.testing.assert_allclose(OpenVinoRows(function, weights, "f32")(images), expected, atol=1e-4)
    rows = np.asarray(OpenVinoRows(function, weights, "bf16")(images))
    assert cosines(rows, expected).min() > 0.999


def test_sentences_are_those_of_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "LAYERS", 1)
    monkeypatch.setattr(minilm, "VOCAB", 50)
    tokens, mask = np.arange(16, dtype=np.int32).reshape(2, 8), np.ones((2, 8), np.int32)
    mask[1, 5:] = 0
    weights = variables(minilm.MiniLM(), tokens, mask)
    function = lambda v, x: minilm.MiniLM().apply(v, x["tokens"], x["mask"])[0]  # noqa: E731
    inputs = dict(tokens=tokens, mask=mask)
    [found] = OpenVinoFunction(function, weights, "f32")(inputs)
    np.testing.assert_allclose(found, function(weights, inputs), atol=1e-5)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.where(x > 0, x, -2 * x).sum(axis=0) ** 3,
        lambda x: jnp.concatenate([x[:, 1:3], x[:, ::2]], axis=1) / jnp.abs(x).max(),
        lambda x: jnp.pad(x, ((1, 0), (0, 2)), constant_values=7).T.reshape(2, -1),
        lambda x: jnp.broadcast_to(x[:, None], (4, 3, 4)).sum(axis=(1, 2)),
        lambda x: jnp.tanh(x) + jax.nn.sigmoid(x) + jnp.sqrt(jnp.abs(x)) - x.min(axis=1)[:, None],
        lambda x: jnp.arange(4.0) @ x + jnp.einsum("ij,kj->ik", x, x)[0],
    ],
)
def test_operations_are_those_of_jax(function: Callable[..., jax.Array]) -> None:
    x = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    [found] = OpenVinoFunction(lambda weights, x: function(x), {}, "f32")(x)
    np.testing.assert_allclose(found, function(x), atol=1e-5, rtol=1e-5)


def test_an_unknown_operation_is_named_and_stays_in_jax() -> None:
    x, function = np.ones((3, 4), np.float32), lambda weights, x: jnp.sin(weights * x)
    with pytest.raises(NotImplementedError, match="'sin'"):
        OpenVinoFunction(function, np.float32(2), "f32")(x)
    network = OpenVinoRows(function, np.float32(2), "f32")
    assert network.dim(x) == 4
    np.testing.assert_allclose(network(x), np.sin(2 * x), atol=1e-6)


def test_no_telemetry_is_loaded() -> None:
    assert openvino_graph.choose_precision() in ("f32", "bf16")
    assert "openvino_telemetry" not in sys.modules
