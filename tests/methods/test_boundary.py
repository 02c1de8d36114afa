"""Boundary learning: the balanced loss, equal raw gradients on 1 and 8 devices, frozen encoders."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from tests.toy import assert_gradients_close, recording_sgd
from vujax.methods.base import Method, StepContext
from vujax.methods.boundary import Boundary, balanced_cross_entropy, boundary_metrics
from vujax.models.boundary import BoundaryModel, build_boundary_head
from vujax.training.step import build_train_step, compute_shardings, init_state
from vujax.utils.mesh import make_global_batch

ROWS = 32
SMALL = dict(before=2, after=2, hidden=8)
HEADS = {  # noise is slow to compile: in one of them only
    "mlp": dict(kind="mlp", before=2, after=2, hidden=(8,), dropout=0.3),
    "transformer": dict(kind="transformer", **SMALL, width=8, layers=1, heads=2, dropout=0.0),
    "similarity": dict(kind="similarity", reach=2, hidden=(8,), dropout=0.0),
}
QUIET = HEADS["mlp"] | dict(dropout=0.0)


class Encoder(nn.Module):
    """A dense layer and batch norm over the shots of all windows."""

    @nn.compact
    def __call__(self, inputs, *, train=False, axis_name=None):
        x = nn.Dense(8)(inputs["feature"])
        norm = nn.BatchNorm(use_running_average=not train, axis_name=axis_name, name="norm")
        return norm(x), {}


def host_batch(labels: np.ndarray | None = None) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    similarity = rng.normal(size=(ROWS, 4, 4)).astype(np.float32)
    batch = {
        "feature": rng.normal(size=(ROWS, 4, 6)).astype(np.float32),
        "similarity": similarity + similarity.swapaxes(1, 2),
        "duration": rng.normal(size=(ROWS, 4)).astype(np.float32),
        "mask": rng.random((ROWS, 4)) < 0.9,
        "label": (rng.random(ROWS) < 0.2).astype(np.int32) if labels is None else labels,
        "index": np.arange(100, 100 + ROWS, dtype=np.int32),
    }
    assert labels is not None or batch["label"][: ROWS // 8].sum() != batch["label"].sum() / 8
    return batch


def program(method: Method, mesh, batch, state=None, *, micro_batches=1, fsdp=False):
    """Return `(state, step)` whose optimizer state is the raw gradient."""
    if state is None:
        init = jax.jit(lambda key: init_state(method, recording_sgd(), key, batch, ema=False))
        state = init(jax.random.key(1))
    step = build_train_step(
        method,
        recording_sgd(),
        mesh,
        seed=0,
        total_steps=10,
        trainable_mask=jax.tree.map(lambda _: True, state.params),
        micro_batches=micro_batches,
        state_shardings=compute_shardings(method, jax.eval_shape(lambda: state), mesh, fsdp=fsdp),
        fsdp=fsdp,
    )
    return state, step


def step_once(method: Boundary, mesh, batch):
    """Return `(gradients, metrics, aux)` of the first step on `mesh`."""
    state, step = program(method, mesh, batch)
    after, metrics = jax.device_get(step(state, make_global_batch(mesh, batch)))
    return after.opt_state, metrics, after.aux


def test_raw_gradients_on_eight_devices(mesh1, mesh8):
    method = Boundary(BoundaryModel(None, build_boundary_head(**HEADS["mlp"])))
    grads, metrics, _ = step_once(method, mesh1, host_batch())
    grads8, metrics8, _ = step_once(method, mesh8, host_batch())
    assert optax.global_norm(grads) > 1e-2
    assert_gradients_close(grads8, grads, 1e-5)
    chex.assert_trees_all_close(metrics8, metrics, rtol=1e-4)


@pytest.mark.parametrize("head", ["transformer", "similarity"])
def test_every_head_is_traced_on_eight_devices(head, mesh8):
    """shard_map checks what varies over the devices when it traces; compiling takes longer."""
    method = Boundary(BoundaryModel(None, build_boundary_head(**HEADS[head])))
    state, step = program(method, mesh8, host_batch())
    traced = step.trace(state, make_global_batch(mesh8, host_batch()))
    assert {"loss", "predicted_rate"} < set(traced.out_info[1])


def test_fine_tuning_sees_the_whole_batch(mesh1, mesh8):
    method = Boundary(BoundaryModel(Encoder(), build_boundary_head(**QUIET)), encoder="fine-tuned")
    grads, _, aux = step_once(method, mesh1, host_batch())
    grads8, _, extra8 = step_once(method, mesh8, host_batch())
    assert optax.global_norm(grads["encoder"]) > 1e-3
    assert_gradients_close(grads8, grads, 1e-4)
    chex.assert_trees_all_close(extra8, aux, rtol=1e-5, atol=1e-6)
    assert np.abs(aux["batch_stats"]["encoder"]["norm"]["mean"]).max() > 1e-4


def test_a_frozen_encoder_is_left_alone(mesh8):
    method = Boundary(BoundaryModel(Encoder(), build_boundary_head(**QUIET)))
    grads, _, aux = step_once(method, mesh8, host_batch())
    assert optax.global_norm(grads["encoder"]) == 0
    assert optax.global_norm(grads["head"]) > 1e-2
    assert not aux["batch_stats"]["encoder"]["norm"]["mean"].any()


def test_balanced_loss_is_half_of_each_mean():
    logits = jnp.array([2.0, -1.0, 0.5, 0.0])
    labels = jnp.array([1, 0, 0, 0])
    negatives = np.log1p(np.exp(np.array([-1.0, 0.5, 0.0]))).mean()
    want = 0.5 * np.log1p(np.exp(-2.0)) + 0.5 * negatives
    np.testing.assert_allclose(balanced_cross_entropy(logits, labels), want, rtol=1e-6)


@pytest.mark.parametrize("label", [0, 1])
def test_a_batch_of_one_class_gives_numbers(label, mesh8):
    method = Boundary(BoundaryModel(None, build_boundary_head(**QUIET)))
    labels = np.full(ROWS, label, np.int32)
    grads, metrics, _ = step_once(method, mesh8, host_batch(labels))
    chex.assert_tree_all_finite((grads, metrics))
    assert metrics["true_rate"] == label and metrics["loss"] > 0.1


def test_noise_follows_the_index_and_the_step():
    method = Boundary(BoundaryModel(None, build_boundary_head(**HEADS["mlp"])))
    batch = host_batch()
    params, aux = jax.jit(method.init)(jax.random.key(1), batch)

    @jax.jit
    def logits(batch, key):
        return method.embed(params, aux, batch, StepContext(key, 0.0)).rows["logit"]

    order = np.random.default_rng(1).permutation(ROWS)
    shuffled = {name: value[order] for name, value in batch.items()}
    first = logits(batch, jax.random.key(0))
    chex.assert_trees_all_close(logits(shuffled, jax.random.key(0)), first[order], rtol=1e-5)
    assert (abs(logits(batch, jax.random.key(1)) - first) > 1e-4).all()


def test_called_counts_at_one_half():
    rates = boundary_metrics(jnp.array([1.0, 0.5, -1.0, -2.0]), jnp.array([1, 0, 1, 0]))
    want = {"true_rate": 0.5, "predicted_rate": 0.5, "recall": 0.5, "precision": 0.5}
    chex.assert_trees_all_close(rates, want)


def test_unknown_encoder_word():
    with pytest.raises(
        ValueError, match=r"unknown method.encoder 'froze'; expected one of: frozen, fine-tuned"
    ):
        Boundary(BoundaryModel(None, build_boundary_head()), encoder="froze")
