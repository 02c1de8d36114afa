"""Shot encoder: every input and their fusion, devices, and errors."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax
from jax.sharding import PartitionSpec as P
from ml_collections import ConfigDict

from tests.models.small import assert_close, variables
from vujax.models import efficientnet
from vujax.models.image_spec import ImageSpec
from vujax.models.keyframes import AttentionPool, KeyframeEncoder, replace_image_encoder
from vujax.models.projection import Projection
from vujax.models.shot_encoder import build_shot_encoder

RNG = np.random.default_rng(0)
RESNET = dict(encoder="resnet", variant="Mu", width=8, image_size=16, frames=2)
VIT = dict(encoder="vit", patch=8, width=16, layers=1, heads=2, image_size=16)
LITE = dict(encoder="lite", image_size=32)
AUDIO = dict(widths=(8,), mels=8)
FEATURE = dict(hidden=(12,), dim=6, width=10)
INPUTS = dict(
    image=RNG.integers(0, 256, (16, 2, 16, 16, 3)).astype(np.uint8),
    audio=RNG.normal(size=(16, 4, 8)).astype(np.float32),
    feature=RNG.uniform(size=(16, 10)).astype(np.float32),
)


def shapes(encoder, inputs=INPUTS):
    """Return (embeddings and intermediates, variables), as shapes."""
    return jax.eval_shape(encoder.init_with_output, jax.random.key(0), inputs)


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("config", "dim"),
    [
        (dict(image=RESNET), 64),
        (dict(image=RESNET | dict(pool="stack")), 64),
        (dict(image=RESNET | dict(pool="attention", norm="group")), 64),
        (dict(image=VIT), 16),
        (dict(image=VIT | dict(dim=24, token_pool="mean", pool="attention")), 24),
        (dict(audio=AUDIO), 8),
        (dict(feature=FEATURE), 6),
        (dict(feature=dict(hidden=(12, 7))), 7),
        (dict(feature=dict(width=10, unit=True)), 10),
        (dict(image=RESNET, audio=AUDIO, feature=FEATURE, fusion="unit"), 78),
        (dict(audio=AUDIO, feature=FEATURE, projection=(9, 5), dtype="bfloat16"), 5),
    ],
)
def test_dimensions(config, dim):
    encoder = build_shot_encoder(**ConfigDict(config))
    (vector, out), _ = shapes(encoder)
    assert encoder.dim == dim
    assert (vector.shape, vector.dtype) == ((16, dim), jnp.float32)
    assert encoder.inputs == tuple(name for name in INPUTS if name in config)
    assert all(out[name].shape[0] == 16 for name in (*encoder.inputs, "fused"))


def test_shotcols_encoder_and_its_head():
    image = jax.ShapeDtypeStruct((1, 3, 224, 224, 3), jnp.uint8)
    encoder = build_shot_encoder(image=dict(variant="RN50", pool="stack"), projection=(2048, 128))
    (_, out), held = shapes(encoder, dict(image=image))
    head = held["params"].pop("projection")
    assert count(held["params"]) == 23_526_848
    assert count(head) == 2048 * 2048 + 2048 + 2048 * 128 + 128
    assert out["image"].shape == (1, 2048)


class Means(nn.Module):
    """Stands for an image encoder: the mean of each channel."""

    @nn.compact
    def __call__(self, x, *, train=False, axis_name=None):
        return x.mean(axis=(1, 2)), {}


def keyframes(pool, image=INPUTS["image"], encoder=None, **weights):
    spec = ImageSpec.square(16, mean=(0, 0, 0), std=(1, 1, 1))
    encoder = KeyframeEncoder(Means(), 3, spec, frames=2, pool=pool)
    return encoder.apply(weights, image)[0]


def test_stacked_keyframes_are_channels_in_order():
    each = INPUTS["image"].mean(axis=(2, 3)) / 255
    np.testing.assert_allclose(keyframes("stack"), each.reshape(16, 6), atol=1e-6)
    np.testing.assert_allclose(keyframes("mean"), each.mean(1), atol=1e-6)
    longer = np.concatenate([INPUTS["image"], INPUTS["image"][:, :1]], axis=1)
    three = np.concatenate([each, each[:, :1]], axis=1)
    np.testing.assert_allclose(keyframes("mean", longer), three.mean(1), atol=1e-6)


def test_pixels_are_normalised_and_floats_are_taken_as_they_are():
    spec = ImageSpec.square(16, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    encoder = KeyframeEncoder(Means(), 3, spec)
    pixels = (INPUTS["image"] / 255 - np.array([0.1, 0.2, 0.3])) / np.array([0.5, 1.0, 2.0])
    found = encoder.apply({}, INPUTS["image"])[0]
    np.testing.assert_allclose(found, pixels.mean(axis=(1, 2, 3)), atol=1e-5)
    floats = encoder.apply({}, pixels.astype(np.float32))[0]
    np.testing.assert_allclose(floats, found, atol=1e-5)


def test_attention_begins_as_the_mean_and_learns_what_to_look_at():
    x = RNG.normal(size=(4, 3, 8)).astype(np.float32)
    pooled, held = AttentionPool().init_with_output(jax.random.key(0), x)
    np.testing.assert_allclose(pooled, x.mean(1), atol=1e-6)
    held["params"]["query"] = 100 * jnp.asarray(x[0, 2] - x[0].mean(0))
    attended = AttentionPool().apply(held, x)
    np.testing.assert_allclose(attended[0], x[0, 2], atol=1e-3)
    np.testing.assert_allclose(AttentionPool().apply(held, x[:, ::-1]), attended, atol=1e-5)


def apply(config, inputs, held=None):
    encoder = build_shot_encoder(**config)
    return encoder.apply(held or variables(encoder, inputs), inputs)


def test_features_alone_pass_as_they_are():
    vector, _ = apply(dict(feature=dict()), INPUTS)
    np.testing.assert_array_equal(vector, INPUTS["feature"])
    vector, _ = apply(dict(feature=dict(unit=True)), INPUTS)
    np.testing.assert_allclose(np.linalg.norm(vector, axis=1), 1, atol=1e-5)


def test_layers_see_unit_features_whatever_their_size():
    config = dict(feature=FEATURE | dict(unit=True))
    inputs = dict(feature=INPUTS["feature"])
    held = variables(build_shot_encoder(**config), inputs)
    first, second = (apply(config, dict(feature=s * inputs["feature"]), held) for s in (1, 1000))
    np.testing.assert_allclose(first[0], second[0], atol=1e-5)
    fc1, fc2 = (held["params"]["feature"]["mlp"][name] for name in ("fc1", "fc2"))
    rows = inputs["feature"] / np.linalg.norm(inputs["feature"], axis=1, keepdims=True)
    hidden = np.maximum(rows * np.sqrt(10) @ fc1["kernel"] + fc1["bias"], 0)
    np.testing.assert_allclose(first[0], hidden @ fc2["kernel"] + fc2["bias"], atol=1e-4)


def test_an_mlp_keeps_the_size_of_its_input():
    x = jax.random.normal(jax.random.key(1), (64, 100))
    y, _ = jax.jit(Projection((200, 300)).init_with_output)(jax.random.key(0), x)
    assert 0.8 < float(jnp.sqrt((y**2).mean())) < 1.2


def test_fusion_by_unit_vectors_lets_no_input_outweigh_another():
    config = dict(audio=AUDIO, feature=dict(width=10))
    held = variables(build_shot_encoder(**config), INPUTS)
    louder = INPUTS | dict(feature=1000 * INPUTS["feature"])
    for fusion, least, most in (("concat", 100, 2000), ("unit", 0, 1e-4)):
        one, two = (apply(config | dict(fusion=fusion), x, held)[1] for x in (INPUTS, louder))
        assert least <= np.abs(one["fused"] - two["fused"]).max() <= most
        np.testing.assert_array_equal(one["audio"], two["audio"])
    halves = np.linalg.norm(np.split(np.asarray(one["fused"]), [8], axis=1)[0], axis=1)
    np.testing.assert_allclose(halves, 1, atol=1e-5)


def whole(**options):
    """Build an encoder of all inputs with a short residual network."""
    config = dict(image=RESNET | dict(pool="stack"), audio=AUDIO, feature=FEATURE)
    encoder = build_shot_encoder(**config, fusion="unit", projection=(4,), **options)
    resnet = encoder.image.encoder.clone(blocks=(1, 0, 0, 0))
    return encoder.clone(image=encoder.image.clone(encoder=resnet))


@pytest.fixture(scope="module")
def weights():
    return variables(whole(), INPUTS)


def trained(weights, inputs, axis_name=None, **options):
    """Return embeddings, the gradient of the sum of their squares, and new statistics."""

    def loss(params):
        how = dict(train=True, axis_name=axis_name, mutable=["batch_stats"])
        (vectors, _), new = whole(**options).apply(weights | dict(params=params), inputs, **how)
        return jnp.sum(vectors**2), (vectors, new)

    gradient, (vectors, new) = jax.grad(loss, has_aux=True)(weights["params"])
    return vectors, gradient, new


def test_eight_devices_equal_one(weights, mesh8):
    one = jax.jit(trained)(weights, INPUTS)

    def share(weights, inputs):
        params = lax.pcast(weights["params"], "data", to="varying")
        held = weights | dict(params=params)
        vectors, gradient, new = trained(held, inputs, "data", remat="full")
        return vectors, lax.psum(gradient, "data"), new

    specs = dict(mesh=mesh8, in_specs=(P(), P("data")), out_specs=(P("data"), P(), P()))
    assert_close(jax.jit(jax.shard_map(share, **specs))(weights, INPUTS), one, 1e-4)


def test_evaluation_sees_no_other_shot_and_no_other_input(weights):
    evaluate = jax.jit(lambda w, x: whole().apply(w, x)[0])
    vectors = evaluate(weights, INPUTS)
    padded = {k: np.concatenate([v[:3], np.zeros_like(v[3:])]) for k, v in INPUTS.items()}
    found = evaluate(weights, padded | dict(tokens=np.zeros(16)))
    np.testing.assert_array_equal(found[:3], vectors[:3])
    assert np.abs(found[3:] - vectors[3:]).max() > 1e-3


@pytest.fixture
def short_lite(monkeypatch):
    """EfficientNet-Lite0 with two of its stages: the whole one takes long to trace."""
    monkeypatch.setattr(efficientnet, "STAGES", efficientnet.STAGES[:2])


def test_lite_learns_its_weights_and_keeps_its_statistics(mesh8, short_lite):
    """Return shapes, and the types of a checked shard_map."""
    encoder = build_shot_encoder(image=LITE)
    image = jax.ShapeDtypeStruct((8, 2, 32, 32, 3), jnp.uint8)
    _, held = shapes(encoder, dict(image=image))

    def share(weights, image):
        params = lax.pcast(weights["params"], "data", to="varying")

        def loss(params):
            how = dict(train=True, axis_name="data", mutable=["batch_stats"])
            (vectors, _), new = encoder.apply(weights | {"params": params}, {"image": image}, **how)
            return jnp.sum(vectors), new

        gradient, new = jax.grad(loss, has_aux=True)(params)
        return lax.psum(gradient, "data"), new

    specs = dict(mesh=mesh8, in_specs=(P(), P("data")), out_specs=P())
    gradient, new = jax.eval_shape(jax.shard_map(share, **specs), held, image)
    assert jax.tree.structure(gradient) == jax.tree.structure(held["params"])
    assert new["batch_stats"] == held["batch_stats"]


def test_weights_of_the_image_encoder_alone(short_lite):
    image = jnp.zeros((16, 2, 32, 32, 3), jnp.uint8)
    _, held = shapes(build_shot_encoder(image=LITE, feature=FEATURE), INPUTS | dict(image=image))
    released = jax.eval_shape(efficientnet.EfficientNetLite0().init, jax.random.key(0), image[:, 0])
    marked = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), released)
    filled = replace_image_encoder(held, marked)
    assert jax.tree.structure(filled) == jax.tree.structure(held)
    assert filled["params"]["image"]["encoder"] is marked["params"]
    assert filled["params"]["feature"] is held["params"]["feature"]
    for wrong in ({"params": {}}, {"other": {}}, {"params": marked["batch_stats"]}):
        with pytest.raises(ValueError, match="does not fit the image encoder"):
            replace_image_encoder(held, wrong)


def test_shard_sees_every_block():
    seen = []
    watch = lambda x: seen.append(x.shape) or x  # noqa: E731
    shapes(build_shot_encoder(image=RESNET, audio=AUDIO, shard=watch))
    maps = [(32, 4, 4, 8), (32, 2, 2, 16), (32, 1, 1, 32), (32, 1, 1, 64)]
    assert seen == [*maps, (16, 2, 4, 8)]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dict(), r"needs an input: give model.image or model.audio or model.feature"),
        (dict(video={}), r"model.video; .*image, audio, feature"),
        (dict(feature={}, fusion="sum"), r"model.fusion 'sum'.*concat, unit"),
        (dict(feature={}, dtype="float8"), r"model.dtype 'float8'.*float32, bfloat16"),
        (dict(feature={}, remat="some"), r"model.remat 'some'.*none, full"),
        (dict(feature=dict(layers=2)), r"model.feature.layers; .*hidden, dim, width, unit"),
        (dict(feature=dict(hidden=(0,))), r"model.feature.hidden 0 must be a positive"),
        (dict(feature={}, projection=(4, -1)), r"model.projection -1 must be a positive"),
        (dict(audio=dict(size="huge")), r"model.audio.size 'huge'.*small, large"),
        (dict(audio=dict(norm="layer")), r"model.audio.norm 'layer'.*sync, batch, group"),
        (dict(audio=dict(mels=0)), r"model.audio.mels 0 must be a positive"),
        (dict(audio=dict(rate=8)), r"model.audio.rate; .*size, widths, mels, norm"),
        (dict(image=dict(encoder="mlp")), r"model.image.encoder 'mlp'.*resnet, vit, lite"),
        (dict(image=RESNET | dict(heads=2)), r"model.image.heads; .*variant, width, blocks, norm"),
        (dict(image=LITE | dict(norm="sync")), r"model.image.norm; .*pool, frames"),
        (dict(image=RESNET | dict(pool="max")), r"model.image.pool 'max'.*stack, mean, attention"),
        (dict(image=VIT | dict(pool="stack")), r"'stack' needs model.image.encoder 'resnet'"),
        (dict(image=RESNET | dict(norm="none")), r"model.image.norm 'none'.*sync, batch, group"),
        (dict(image=RESNET | dict(variant="RN51")), r"'RN51'.*RN34, RN50"),
        (dict(image=RESNET | dict(blocks=(1, 1))), r"blocks \(1, 1\) must be those of four"),
        (dict(image=RESNET | dict(blocks=(1, 1, 0, 1))), r"model.image.blocks 0 must be"),
        (dict(image=RESNET | dict(frames=0)), r"model.image.frames 0 must be a positive"),
        (dict(image=VIT | dict(image_size=7)), r"image_size 7 .* patch size 8"),
        (dict(image=VIT | dict(heads=3)), r"model.image.width 16 .* model.image.heads 3"),
        (dict(image=VIT | dict(token_pool="max")), r"model.image.token_pool 'max'.*token, mean"),
        (dict(image=VIT | dict(act="relu")), r"model.image.act 'relu'.*gelu, quick_gelu"),
    ],
)
def test_mistakes_get_one_sentence(config, message):
    with pytest.raises(ValueError, match=message):
        build_shot_encoder(**config)


@pytest.mark.parametrize(
    ("config", "inputs", "message"),
    [
        (
            dict(audio=AUDIO, feature={}),
            ["feature"],
            r"'audio' is missing.* audio and feature",
        ),
        (dict(image=RESNET | dict(image_size=32)), ["image"], r"takes \[n k 32 32 3\]"),
        (dict(image=RESNET | dict(pool="stack", frames=3)), ["image"], r"takes \[n 3 16 16 3\]"),
        (dict(feature=dict(width=9)), ["feature"], r"\(16, 10\) do not fit .* \[n 9\]"),
    ],
)
def test_inputs_that_do_not_fit_get_one_sentence(config, inputs, message):
    with pytest.raises(ValueError, match=message):
        shapes(build_shot_encoder(**config), {name: INPUTS[name] for name in inputs})


def test_the_dimension_of_unknown_features_is_a_clear_error():
    with pytest.raises(ValueError, match=r"have no known size: give feature\.width"):
        _ = build_shot_encoder(feature={}).dim
