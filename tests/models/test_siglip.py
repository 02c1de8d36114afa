"""Differences of SigLIP from CLIP: attention pooling, plain stem, bidirectional text."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.small import TEXT, VIT, batch, small, variables
from vujax.models.layers import ACTIVATIONS
from vujax.models.two_towers import clamp_scale
from vujax.models.vit import AttentionPoolHead

IMAGE = VIT | dict(stem="plain", pool="attention", hidden=40)
WORDS = TEXT | dict(causal=False, pool="last", bias=True, hidden=40)
SIGLIP = dict(text=WORDS, embed_dim=32, act="gelu_tanh", epsilon=1e-6, bias=True, max_scale=None)


@pytest.fixture(scope="module")
def model():
    return small(IMAGE, **SIGLIP)


@pytest.fixture(scope="module")
def weights(model):
    return variables(model, *batch(3))


def normed(x, norm, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return scaled * norm["scale"] + norm["bias"]


def dense(x, layer):
    return x @ layer["kernel"] + layer["bias"]


def test_the_attention_head_is_its_formula():
    x = np.random.default_rng(0).normal(size=(3, 5, 8)).astype(np.float32)
    head = AttentionPoolHead(heads=2, act="quick_gelu", hidden=12, epsilon=1e-3)
    weights = variables(head, jnp.asarray(x))
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), weights["params"])
    tokens = normed(x, p["ln_post"], 1e-3)
    query, key, value = (
        dense(rows, p[name]).reshape(*rows.shape[:2], 2, 4)
        for name, rows in (("query", p["probe"]), ("key", tokens), ("value", tokens))
    )
    scores = np.einsum("qhd,bthd->bht", query[0], key) / np.sqrt(4)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    pooled = dense(np.einsum("bht,bthd->bhd", shares, value).reshape(3, 8), p["out"])
    hidden = dense(normed(pooled, p["ln"], 1e-3), p["mlp"]["fc1"])
    hidden = hidden / (1 + np.exp(-1.702 * hidden))
    expected = pooled + dense(hidden, p["mlp"]["fc2"])
    np.testing.assert_allclose(jax.jit(head.apply)(weights, x), expected, atol=1e-5)


def test_shapes_and_parameters(model, weights):
    embedding, out = jax.jit(model.apply)(weights, *batch(3))
    assert embedding["image"].shape == embedding["text"].shape == (3, 32)
    assert out["image"]["stem"].shape == (3, 4, 32)  # no class token
    params = weights["params"]
    assert set(params) == {"image", "text", "logit_scale", "logit_bias"}
    assert set(params["image"]) == {"patch", "positions", "transformer", "head"}
    assert params["image"]["patch"]["bias"].shape == (32,)
    assert params["text"]["head"]["projection"]["bias"].shape == (32,)
    block = params["text"]["transformer"]["block00"]["mlp"]["fc1"]
    assert block["kernel"].shape == (32, 40)
    np.testing.assert_allclose(embedding["bias"], params["logit_bias"])
    np.testing.assert_allclose(embedding["scale"], np.exp(params["logit_scale"]), rtol=1e-6)


def test_the_last_token_sees_all_and_is_pooled(model, weights):
    _, tokens = batch(4)
    run = jax.jit(lambda tokens: model.apply(weights, tokens, method="encode_text"))
    _, out = run(tokens)
    expected = normed(
        np.asarray(out["block01"])[:, -1], weights["params"]["text"]["head"]["ln"], 1e-6
    )
    np.testing.assert_allclose(out["pooled"], expected, atol=1e-5)
    changed = tokens.at[:, 0].set(7)
    assert (np.abs(run(changed)[0] - run(tokens)[0]).max(1) > 1e-4)[tokens[:, 0] != 7].all()
    first = lambda tokens: run(tokens)[1]["block01"][:, 0]  # noqa: E731
    assert np.abs(first(tokens.at[:, -1].set(7)) - first(tokens)).max() > 1e-4


def test_scan_gives_the_same(model, weights):
    from vujax.models import stack_blocks

    inputs = batch(3)
    scanned, _ = jax.jit(small(IMAGE, scan=True, **SIGLIP).apply)(stack_blocks(weights), *inputs)
    chex.assert_trees_all_close(scanned, jax.jit(model.apply)(weights, *inputs)[0], atol=1e-6)


def test_a_text_may_end_at_a_token_that_is_not_the_largest():
    _, tokens = batch(8)
    model = small(text=TEXT | dict(end=7))
    weights = variables(model, *batch(8))
    tokens = jnp.where(tokens == 7, 8, tokens).at[:, 4].set(7)
    run = jax.jit(lambda tokens: model.apply(weights, tokens, method="encode_text")[0])
    after = jnp.arange(tokens.shape[1]) > 4
    chex.assert_trees_all_equal(run(tokens), run(jnp.where(after, 7, tokens)))
    assert np.abs(run(tokens) - run(tokens.at[:, 4].set(8).at[:, 5].set(7))).max() > 1e-4


def test_epsilon_matters_where_streams_are_small():
    image, tokens = batch(3)
    tiny, large = small(epsilon=1e-6), small(epsilon=1.0)
    weights = variables(tiny, image, tokens)
    run = lambda model: jax.jit(model.apply)(weights, image, tokens)[0]  # noqa: E731
    for name in ("image", "text"):
        assert np.abs(run(tiny)[name] - run(large)[name]).max() > 1e-3


def test_the_tanh_approximation_is_its_formula():
    x = np.linspace(-5, 5, 101)
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    found = ACTIVATIONS["gelu_tanh"](jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, 0.5 * x * (1 + np.tanh(inner)), atol=1e-6)


def test_a_scale_without_a_bound():
    assert clamp_scale(jnp.log(117.3), np.inf) == pytest.approx(117.3, rel=1e-5)
    assert clamp_scale(jnp.log(117.3)) == pytest.approx(100, rel=1e-5)


def test_every_parameter_but_the_bias_learns(model, weights):
    def loss(weights):
        embedding, _ = model.apply(weights, *batch(4))
        logits = embedding["scale"] * embedding["image"] @ embedding["text"].T
        return jnp.sum((logits + embedding["bias"]) ** 2)

    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(weights)):
        assert np.isfinite(leaf).all()
        if "['key']['bias']" not in jax.tree_util.keystr(path):
            assert np.abs(leaf).max() > 1e-6, jax.tree_util.keystr(path)


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (VIT | dict(stem="plain"), {}, r"stem 'plain' has no class token"),
        (VIT | dict(pool="attention"), {}, r"embed_dim 24 must be model\.image\.width 32"),
        (VIT | dict(stem="other"), {}, r"unknown model\.image\.stem 'other'"),
        (VIT | dict(pool="last"), {}, r"unknown model\.image\.pool 'last'"),
        (VIT, dict(text=TEXT | dict(pool="attention")), r"unknown model\.text\.pool 'attention'"),
        (VIT, dict(act="relu"), r"unknown model\.act 'relu'"),
    ],
)
def test_towers_that_cannot_be(image, options, message):
    with pytest.raises(ValueError, match=message):
        small(image, **options)
