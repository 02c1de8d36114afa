"""A method small enough to check by hand: linear towers, dense contrast, an averaged copy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from vujax.methods.base import Embeddings, replicated_specs


class Toy:
    """Contrast of `batch['x'] @ a` with `batch['y'] @ b`, negatives from all devices."""

    def init(self, rng, batch):
        a, b = jax.random.split(rng)
        params = {
            "a": {"kernel": jax.random.normal(a, (batch["x"].shape[1], 16)) * 0.3},
            "b": {"kernel": jax.random.normal(b, (batch["y"].shape[1], 16)) * 0.3},
            "logit_scale": jnp.log(jnp.full((), 5.0)),
        }
        return params, {"slow": jax.tree.map(jnp.copy, params)}

    def layout(self, aux):
        return replicated_specs(aux)

    def embed(self, params, aux, batch, context):
        rng = context.rng
        noise = jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(rng, i), (16,)))
        rows = {
            "a": jnp.tanh(batch["x"] @ params["a"]["kernel"]) + 0.1 * noise(batch["index"]),
            "b": jnp.tanh(batch["y"] @ params["b"]["kernel"]),
            "slow": batch["x"] @ aux["slow"]["a"]["kernel"],
            "index": batch["index"],
        }
        return Embeddings(rows, {"scale": jnp.exp(params["logit_scale"])})

    def objective(self, embeddings, aux, context):
        axis_name, progress = context.axis_name, context.progress
        rows, shared = embeddings
        mine = rows["index"]
        every = mine
        keys = rows["b"] + 0.01 * lax.stop_gradient(rows["slow"])
        if axis_name is not None:
            keys = lax.all_gather(keys, axis_name, tiled=True)
            every = lax.all_gather(mine, axis_name, tiled=True)
        logits = shared["scale"] * rows["a"] @ keys.T
        right = mine[:, None] == every[None, :]
        loss = -jnp.sum(jax.nn.log_softmax(logits) * right) / len(every)
        scale = shared["scale"] if axis_name is None else lax.pmean(shared["scale"], axis_name)
        return loss, (aux, {"scale": scale + progress})

    def after_update(self, params, aux):
        return {"slow": jax.tree.map(lambda s, p: 0.9 * s + 0.1 * p, aux["slow"], params)}


def toy_batch(rows: int, seed: int = 0):
    x, y = jax.random.split(jax.random.key(seed))
    return {
        "x": jax.random.normal(x, (rows, 8)),
        "y": jax.random.normal(y, (rows, 24)),
        "index": jnp.arange(rows, dtype=jnp.int32),
    }


def recording_sgd() -> optax.GradientTransformation:
    """SGD of rate 1 whose state is the raw gradient of the last step, to the bit."""

    def update(grads, state, params=None):
        return jax.tree.map(jnp.negative, grads), grads

    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), update)


def assert_gradients_close(got, want, tolerance):
    """Largest difference over the tensor's largest entry.

    A tensor whose gradient is zero by symmetry (the bias of attention's keys) holds rounding only:
    it is measured against a thousandth of the largest entry of all.
    """
    largest = jax.tree.map(lambda g: np.abs(g).max(), want)
    floor = 1e-3 * max(jax.tree.leaves(largest))
    worst = jax.tree.map(
        lambda a, b, top: np.abs(a - b).max() / max(top, floor), got, want, largest
    )
    assert max(jax.tree.leaves(worst)) < tolerance, worst
