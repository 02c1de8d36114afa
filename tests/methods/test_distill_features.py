"""PSD on features: equal raw gradients on 1 and 8 devices, and towers that learn."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.methods.test_boundary import program
from tests.toy import assert_gradients_close
from vujax.methods import METHODS
from vujax.models.feature_towers import build_feature_towers
from vujax.training import fit
from vujax.utils.mesh import make_global_batch

ROWS, SMALL = 32, dict(image_dim=6, text_dim=5, hidden=8, embed_dim=4)


def host_batch(rows: int = ROWS, seed: int = 0) -> dict[str, np.ndarray]:
    """Return embeddings of images and texts that share a topic."""
    rng = np.random.default_rng(seed)
    topic = rng.normal(size=(rows, 3))
    image, text = (topic @ rng.normal(size=(3, dim)) + 5 for dim in (6, 5))
    return {
        "image": image.astype(np.float32),
        "tokens": text.astype(np.float32),
        "index": np.arange(rows, dtype=np.int32),
    }


def method_of(**options):
    spec = METHODS.load("distill_features")
    return spec.method(build_feature_towers(**SMALL), **options)


@pytest.mark.parametrize("teacher", ["self", "ema"])
def test_raw_gradients_on_eight_devices(mesh1, mesh8, teacher):
    method, batch = method_of(target="plain", unaligned_start=0.5, teacher=teacher), host_batch()
    results = []
    for mesh, parts in ((mesh1, 1), (mesh8, 1), (mesh8, 2)):
        state, step = program(method, mesh, batch, micro_batches=parts)
        after, metrics = jax.device_get(step(state, make_global_batch(mesh, batch)))
        results.append((after.opt_state, after.aux, metrics))
    (grads, aux, metrics), *others = results
    assert optax.global_norm(grads) > 1e-2
    standardized = batch["image"] - batch["image"].mean(axis=1, keepdims=True)
    standardized /= batch["image"].std(axis=1, keepdims=True)
    mean = aux["batch_stats"]["image"]["center"]["mean"]
    np.testing.assert_allclose(mean, standardized.mean(axis=0), atol=1e-4)
    for grads8, aux8, metrics8 in others:
        assert_gradients_close(grads8, grads, 1e-5)
        chex.assert_trees_all_close(aux8, aux, rtol=1e-4, atol=1e-6)
        chex.assert_trees_all_close(metrics8, metrics, rtol=1e-3, atol=1e-5)


@pytest.mark.long
def test_towers_learn_which_text_belongs_to_an_image():
    method, batch = method_of(unaligned_end=0.0), host_batch(64)
    shapes = fit.get_shapes(jax.eval_shape(lambda: batch))
    init, step = fit.build_program(method, shapes, steps=60, lr=1e-2, weight_decay=0.1)
    state = init(jax.random.key(0))
    for _ in range(60):
        state, _ = step(state, batch)
    variables = {"params": state.params, "batch_stats": state.aux["batch_stats"]}
    found, _ = method.model.apply(variables, batch["image"], batch["tokens"])
    best = jnp.argmax(found["image"] @ found["text"].T, axis=1)
    assert (best == jnp.arange(64)).mean() > 0.5
