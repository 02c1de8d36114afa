"""The caption loss against a plain one, and equal raw gradients on 1 and 8 devices."""

import chex
import jax
import numpy as np
import optax
import pytest

from tests.methods.test_boundary import program
from tests.toy import assert_gradients_close
from vujax.methods.base import StepContext
from vujax.methods.caption import Caption, caption_mask, cross_entropy
from vujax.models.caption import build_caption_model
from vujax.utils.mesh import make_global_batch

ROWS, SMALL = 32, dict(dim=6, vocab=11, context=7, prefix=2, width=8, layers=1, heads=2)


def host_batch() -> dict[str, np.ndarray]:
    """Generate captions of 0 to 6 tokens, so that the devices' shards differ in length."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 11, (ROWS, 7)).astype(np.int32)
    lengths = np.sort(rng.integers(0, 7, ROWS))
    return {
        "vector": rng.normal(size=(ROWS, 6)).astype(np.float32),
        "tokens": np.where(np.arange(7) < lengths[:, None], tokens, 0),
        "index": np.arange(100, 100 + ROWS, dtype=np.int32),
    }


def method_of(**options) -> Caption:
    return Caption(build_caption_model(**SMALL), **options)


@pytest.mark.long
def test_raw_gradients_on_eight_devices(mesh1, mesh8):
    method, batch = method_of(label_smoothing=0.1), host_batch()
    results = []
    for mesh, parts in ((mesh1, 1), (mesh8, 1), (mesh8, 2)):
        state, step = program(method, mesh, batch, micro_batches=parts)
        after, metrics = jax.device_get(step(state, make_global_batch(mesh, batch)))
        results.append((after.opt_state, metrics))
    (grads, metrics), *others = results
    assert optax.global_norm(grads) > 1e-2
    for grads8, metrics8 in others:
        assert_gradients_close(grads8, grads, 1e-5)
        chex.assert_trees_all_close(metrics8, metrics, rtol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_mean_over_all_tokens(smoothing):
    batch = host_batch()
    method = Caption(build_caption_model(**SMALL, dropout=0.0), label_smoothing=smoothing)
    params, aux = jax.jit(method.init)(jax.random.key(0), batch)
    params = jax.tree.map(lambda p: 8 * p, params)
    context = StepContext(jax.random.key(1), 0.0)
    embeddings = method.embed(params, aux, batch, context)
    loss, (_, metrics) = method.objective(embeddings, aux, context)
    logits, _ = method.model.apply({"params": params}, batch["vector"], batch["tokens"])
    chances = np.asarray(jax.nn.log_softmax(logits))
    losses, right = [], 0
    for row, tokens in enumerate(batch["tokens"]):
        for place, token in enumerate(tokens):
            spread = smoothing * chances[row, place].mean()
            losses.append(-(1 - smoothing) * chances[row, place, token] - spread)
            right += chances[row, place].argmax() == token
            if token == 0:
                break
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-5)
    np.testing.assert_allclose(metrics["token_accuracy"], right / len(losses), rtol=1e-5)
    np.testing.assert_allclose(metrics["tokens"], len(losses) / ROWS, rtol=1e-5)


def test_what_follows_the_end_does_not_count():
    tokens = np.array([[3, 0, 0, 0], [0, 5, 0, 1], [1, 2, 3, 4]])
    assert caption_mask(tokens).tolist() == [[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]]


def test_smoothing_is_optaxs():
    logits = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    tokens = np.array([[0, 1, 2], [3, 4, 0]])
    smooth = optax.smooth_labels(jax.nn.one_hot(tokens, 5), 0.3)
    want = optax.softmax_cross_entropy(logits, smooth)
    np.testing.assert_allclose(cross_entropy(logits, tokens, 0.3), want, rtol=1e-5)


def test_noise_follows_the_index_and_the_step():
    method, batch = method_of(), host_batch()
    params, aux = jax.jit(method.init)(jax.random.key(0), batch)
    params = jax.tree.map(lambda p: 8 * p, params)

    @jax.jit
    def embed(batch, key):
        return method.embed(params, aux, batch, StepContext(key, 0.0)).rows["loss"]

    order = np.random.default_rng(1).permutation(ROWS)
    first = embed(batch, jax.random.key(0))
    shuffled = embed({name: value[order] for name, value in batch.items()}, jax.random.key(0))
    chex.assert_trees_all_close(shuffled, first[order], rtol=1e-4)
    assert (abs(embed(batch, jax.random.key(1)) - first) > 1e-4).all()


def test_smoothing_is_a_share():
    with pytest.raises(ValueError, match=r"method.label_smoothing must be in \[0, 1\), got 1"):
        method_of(label_smoothing=1)
