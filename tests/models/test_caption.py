"""Caption decoder: causality, cached against uncached logits, and size checks."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vujax.models.caption import CaptionDecoder, build_caption_model, create_cache

SMALL = dict(dim=6, vocab=11, context=7, prefix=2, width=8, layers=2, heads=2)


@pytest.fixture(scope="module")
def decoder():
    """Return a model with parameters far from initial ones, embeddings and tokens."""
    model = build_caption_model(**SMALL)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 6)).astype(np.float32)
    tokens = rng.integers(1, 11, (3, 7)).astype(np.int32)
    quick_to_compile = jax.random.key(0, impl="rbg")
    params = jax.jit(model.init)(quick_to_compile, vectors, tokens)["params"]
    noisy = lambda p: p + 0.3 * rng.normal(size=p.shape).astype(np.float32)  # noqa: E731
    return model, {"params": jax.tree.map(noisy, params)}, vectors, tokens


@pytest.mark.long
def test_cached_logits_are_the_uncached_ones(decoder):
    model, variables, vectors, tokens = decoder
    whole, _ = model.apply(variables, vectors, tokens)
    apply = jax.jit(functools.partial(model.apply, mutable=["cache"]), static_argnames="method")
    state = {"cache": create_cache(model, 3)}
    logits, state = apply(variables | state, vectors, method="start")
    found = [logits]
    for place in range(model.context - 1):
        args = tokens[:, place], jnp.asarray(place)
        logits, state = apply(variables | state, *args, method="step")
        found.append(logits)
    chex.assert_trees_all_close(jnp.stack(found, axis=1), whole, atol=1e-5)
    assert np.ptp(whole) > 1
    lengths = [block["attn"]["length"] for block in state["cache"]["transformer"].values()]
    assert lengths == [model.prefix + model.context - 1] * model.layers


def test_logits_see_the_past_and_the_picture_only(decoder):
    model, variables, vectors, tokens = decoder
    logits, _ = model.apply(variables, vectors, tokens)
    other = tokens.copy()
    other[:, 4] = (other[:, 4] + 1) % 11
    changed, _ = model.apply(variables, vectors, other)
    chex.assert_trees_all_close(changed[:, :5], logits[:, :5], atol=1e-6)
    assert (np.abs(changed[:, 5:] - logits[:, 5:]).max(axis=-1) > 1e-3).all()
    changed, _ = model.apply(variables, vectors[::-1], tokens)
    assert np.abs(changed[0] - logits[0]).max() > 1e-2


def test_length_of_a_vector_says_nothing(decoder):
    model, variables, vectors, tokens = decoder
    chex.assert_trees_all_close(
        model.apply(variables, 100 * vectors, tokens)[0],
        model.apply(variables, vectors, tokens)[0],
        atol=1e-3,
    )


def test_dropout_is_for_training(decoder):
    model, variables, vectors, tokens = decoder
    one = model.apply(variables, vectors, tokens, train=True, rngs={"dropout": jax.random.key(0)})
    two = model.apply(variables, vectors, tokens, train=True, rngs={"dropout": jax.random.key(1)})
    assert np.abs(one[0] - two[0]).max() > 1e-2


def test_options():
    assert build_caption_model() == CaptionDecoder()
    with pytest.raises(
        ValueError, match=r"unknown option model.depth .*; expected one of: .* layers"
    ):
        build_caption_model(depth=3)
    with pytest.raises(ValueError, match=r"model.width 10 must be a positive multiple"):
        build_caption_model(width=10, heads=3)
    with pytest.raises(ValueError, match=r"model.prefix must be at least 1, got 0"):
        build_caption_model(prefix=0)
