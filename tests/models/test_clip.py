"""Two-tower model: outputs, accepted and refused inputs, temperature, cost."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.small import RESNET, TEXT, VIT, batch, small, variables
from vujax.models.clip import MEAN, STD
from vujax.models.layers import l2_normalize
from vujax.models.two_towers import clamp_scale


def encode(model, weights, method):
    return jax.jit(lambda x: model.apply(weights, x, method=method)[0])


@pytest.mark.parametrize("image", [VIT, RESNET], ids=["vit", "resnet"])
def test_outputs(image):
    inputs = batch(3, image["image_size"])
    model = small(image)
    weights = variables(model, *inputs)
    embedding, out = jax.jit(model.apply)(weights, *inputs)
    for name in ("image", "text"):
        assert embedding[name].shape == (3, 24)
        assert embedding[name].dtype == jnp.float32
        np.testing.assert_allclose(np.linalg.norm(embedding[name], axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(l2_normalize(out[name]["projected"]), embedding[name], atol=1e-6)
    assert set(weights["params"]) == {"image", "text", "logit_scale"}
    assert weights["params"]["logit_scale"].shape == ()
    for name, x in zip(("image", "text"), inputs, strict=True):
        alone = encode(model, weights, f"encode_{name}")(x)
        np.testing.assert_allclose(alone, embedding[name], atol=1e-6)


def test_intermediates_of_a_vit_and_a_text_tower():
    inputs = batch(3)
    _, out = jax.eval_shape(small().init_with_output, jax.random.key(0), *inputs)[0]
    shapes = jax.tree.map(lambda x: x.shape, out)
    stream, words = (3, 5, 32), (3, 12, 32)
    ends = dict(pooled=(3, 32), projected=(3, 24))
    assert shapes["image"] == dict(stem=stream, block00=stream, block01=stream, **ends)
    assert shapes["text"] == dict(stem=words, block00=words, block01=words, **ends)
    _, out = jax.eval_shape(small(scan=True).init_with_output, jax.random.key(0), *inputs)[0]
    assert out["image"]["blocks"].shape == (2, *stream)


def test_a_vit_can_pool_the_mean_of_its_tokens():
    image, tokens = batch(3)
    model = small(dict(VIT, pool="mean"))
    weights = variables(model, image, tokens)
    _, out = model.apply(weights, image, method="encode_image")
    mean = np.asarray(out["block01"]).mean(axis=1)
    np.testing.assert_allclose(out["pooled"], normed(mean, weights, "image"), atol=1e-5)


def test_a_text_can_be_the_mean_of_its_tokens_up_to_the_end():
    image, tokens = batch(8)
    model = small(text=TEXT | dict(pool="mean"))
    weights = variables(model, image, tokens)
    run = functools.partial(model.apply, weights, method="encode_text")
    _, out = run(tokens)
    ends = np.argmax(tokens, axis=1)
    stream = np.asarray(out["block01"])
    mean = np.stack([row[: end + 1].mean(0) for row, end in zip(stream, ends, strict=True)])
    np.testing.assert_allclose(out["pooled"], normed(mean, weights, "text"), atol=1e-5)
    after = jnp.arange(tokens.shape[1]) > ends[:, None]
    _, again = run(jnp.where(after, 7, tokens))
    np.testing.assert_allclose(out["pooled"], again["pooled"], atol=1e-6)


def normed(x, weights, tower):
    """Apply the tower's last layer norm to x [b d]."""
    norm = weights["params"][tower]["head"]["ln"]
    scaled = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return scaled * norm["scale"] + norm["bias"]


@pytest.mark.usefixtures("optimized")
def test_unused_intermediates_cost_nothing():
    image, tokens = batch(7)
    model = small(scan=True)
    weights = jax.eval_shape(model.init, jax.random.key(0), image, tokens)
    streams = "f32[2,7,5,32]"

    def program(read):
        encode = lambda w, image: read(model.apply(w, image, method="encode_image"))  # noqa: E731
        return jax.jit(encode).lower(weights, image).compile().as_text()

    assert streams in program(lambda result: result)
    assert streams not in program(lambda result: result[0])


def test_uint8_images_are_normalised():
    image, tokens = batch(3)
    model = small()
    weights = variables(model, image, tokens)
    floats = (np.asarray(image) / 255 - np.asarray(MEAN)) / np.asarray(STD)
    run = encode(model, weights, "encode_image")
    np.testing.assert_allclose(run(image), run(floats.astype(np.float32)), atol=1e-5)
    other = small(mean=(0.5, 0.5, 0.5), std=[0.5, 0.5, 0.5])
    floats = np.asarray(image) / 127.5 - 1
    again = encode(other, weights, "encode_image")(image)
    np.testing.assert_allclose(again, run(floats.astype(np.float32)), atol=1e-5)


def test_text_ends_at_its_first_end_token():
    _, tokens = batch(8)
    model = small()
    weights = variables(model, *batch(8))
    run = encode(model, weights, "encode_text")
    ends = jnp.argmax(tokens, axis=1)
    after = jnp.arange(tokens.shape[1]) > ends[:, None]
    before = jnp.arange(tokens.shape[1]) == ends[:, None] - 1
    chex.assert_trees_all_equal(run(tokens), run(jnp.where(after, 7, tokens)))
    chex.assert_trees_all_equal(run(tokens), run(jnp.where(after, TEXT["vocab"] - 1, tokens)))
    moved = np.abs(run(tokens) - run(jnp.where(before, 7, tokens))).max(axis=1)
    assert (moved[np.asarray(tokens)[before] != 7] > 1e-4).all()


def test_scale_starts_at_clips_and_is_clamped_with_a_way_back():
    start = lambda key: small().init(key, *batch(1))["params"]["logit_scale"]  # noqa: E731
    np.testing.assert_allclose(jnp.exp(jax.jit(start)(jax.random.key(0))), 1 / 0.07, rtol=1e-6)
    value, slope = jax.value_and_grad(clamp_scale)(jnp.log(50.0))
    np.testing.assert_allclose([value, slope], 50, rtol=1e-6)
    value, slope = jax.value_and_grad(clamp_scale)(jnp.log(400.0))
    np.testing.assert_allclose([value, slope], 100, rtol=1e-6)
    assert np.isfinite(clamp_scale(jnp.float32(1e4)))


def test_gradient_is_finite_and_reaches_every_parameter():
    inputs = batch(4)
    model = small()

    def loss(weights):
        embedding, _ = model.apply(weights, *inputs)
        return jnp.sum((embedding["image"] @ embedding["text"].T) ** 2 * embedding["scale"])

    gradient = jax.jit(jax.grad(loss))(variables(model, *inputs))
    chex.assert_tree_all_finite(gradient)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        # A key's bias shifts all logits of a query equally, which the softmax ignores.
        if "['key']['bias']" not in jax.tree_util.keystr(path):
            assert np.abs(leaf).max() > 1e-6, jax.tree_util.keystr(path)


def test_unit_of_a_zero_row_has_a_finite_gradient():
    x = jnp.asarray([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(l2_normalize(x), [[0, 0], [0.6, 0.8]], atol=1e-6)
    chex.assert_tree_all_finite(jax.grad(lambda x: l2_normalize(x).sum())(x))


def test_inputs_of_other_sizes_are_refused():
    image, tokens = batch(2)
    model = small()
    weights = variables(model, image, tokens)
    with pytest.raises(ValueError, match=r"\(2, 8, 16, 3\) do not fit .* \[b 16 16 3\]"):
        model.apply(weights, image[:, :8], method="encode_image")
    with pytest.raises(ValueError, match=r"\(2, 7\) do not fit .* \[b 12\]"):
        model.apply(weights, tokens[:, :7], method="encode_text")
