"""The train step: same raw gradients on any layout."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.toy import Toy, assert_gradients_close, recording_sgd, toy_batch
from vujax import optim
from vujax.methods.base import StepContext
from vujax.training.step import State, build_train_step, compute_shardings, init_state
from vujax.utils.mesh import row_sharding

ROWS = 32


def one_step(mesh, *, micro_batches=1, fsdp=False, trainable_mask=None, ema=False, optimizer=None):
    """Return the states around one step, whose optimizer state is the raw gradient, and metrics."""
    method, optimizer = Toy(), optimizer or recording_sgd()
    state = init_state(method, optimizer, jax.random.key(1), toy_batch(2), ema)
    trainable_mask = (
        jax.tree.map(lambda _: True, state.params) if trainable_mask is None else trainable_mask
    )
    shardings = compute_shardings(method, jax.eval_shape(lambda: state), mesh, fsdp=fsdp)
    step = build_train_step(
        method,
        optimizer,
        mesh,
        seed=3,
        total_steps=10,
        trainable_mask=trainable_mask,
        micro_batches=micro_batches,
        ema_decay=0.5,
        state_shardings=shardings,
        fsdp=fsdp,
    )
    before = jax.device_get(state)
    placed = jax.device_put(state, shardings)
    after, metrics = step(placed, jax.device_put(toy_batch(ROWS), row_sharding(mesh)))
    return before, jax.device_get(after), jax.device_get(metrics)


@pytest.fixture(scope="module")
def dense(mesh1):
    return one_step(mesh1)


def test_gradients_are_those_of_plain_autodiff(dense):
    before, after, metrics = dense
    method, batch = Toy(), toy_batch(ROWS)
    rng = jax.random.fold_in(jax.random.key(3), 0)

    def loss(params):
        embeddings = method.embed(params, before.aux, batch, StepContext(rng, 0.0))
        return method.objective(embeddings, before.aux, StepContext(rng, 0.0))[0]

    value, grads = jax.value_and_grad(loss)(before.params)
    assert_gradients_close(after.opt_state, grads, 1e-5)
    np.testing.assert_allclose(metrics["loss"], value, rtol=1e-6)
    np.testing.assert_allclose(metrics["grad_norm"], optax.global_norm(grads), rtol=1e-5)


@pytest.mark.parametrize("fsdp", [False, True])
@pytest.mark.parametrize("micro_batches", [1, 4])
def test_layouts_agree(dense, mesh8, fsdp, micro_batches):
    _, after, metrics = dense
    _, after8, metrics8 = one_step(mesh8, micro_batches=micro_batches, fsdp=fsdp)
    assert_gradients_close(after8.opt_state, after.opt_state, 1e-5)
    chex.assert_trees_all_close(after8.aux, after.aux, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(metrics8, metrics, rtol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(set(optim.OPTIMIZERS) - {"muon"}))  # no blocks here
def test_the_state_of_each_optimizer_is_sharded(mesh1, mesh8, name):
    params = jax.eval_shape(lambda: Toy().init(jax.random.key(1), toy_batch(2))[0])
    optimizer = optim.build_optimizer(params, optax.constant_schedule(0.1), name=name)
    (_, after, _), (_, after8, _) = (
        one_step(mesh, fsdp=mesh is mesh8, optimizer=optimizer) for mesh in (mesh1, mesh8)
    )
    atol = 1e-3 if name == "adafactor" else 1e-5  # a bfloat16 momentum
    chex.assert_trees_all_close(after8.params, after.params, rtol=1e-4, atol=atol)


def test_micro_batches_on_one_device(dense, mesh1):
    _, after, _ = dense
    _, cached, _ = one_step(mesh1, micro_batches=8)
    assert_gradients_close(cached.opt_state, after.opt_state, 1e-5)


def test_frozen_parameters_stay(dense, mesh8):
    before, after, _ = dense
    trainable_mask = {"a": {"kernel": True}, "b": {"kernel": False}, "logit_scale": True}
    _, frozen, _ = one_step(mesh8, trainable_mask=trainable_mask)
    assert not frozen.opt_state["b"]["kernel"].any()
    chex.assert_trees_all_equal(frozen.params["b"], before.params["b"])
    assert_gradients_close(frozen.opt_state["a"], after.opt_state["a"], 1e-5)


def test_average_and_after_update(mesh8):
    before, after, _ = one_step(mesh8, ema=True)
    half = jax.tree.map(lambda a, b: (a + b) / 2, before.params, after.params)
    chex.assert_trees_all_close(after.average, half, rtol=1e-5, atol=1e-7)
    slow = jax.tree.map(lambda s, p: 0.9 * s + 0.1 * p, before.aux["slow"], after.params)
    chex.assert_trees_all_close(after.aux["slow"], slow, rtol=1e-5, atol=1e-7)
    assert after.step == 1


def test_fsdp_divides_what_it_can(mesh8):
    shapes = {"big": jnp.zeros((3, 64, 16)), "odd": jnp.zeros((3, 5)), "one": jnp.zeros(())}
    state = State(jnp.zeros(()), shapes, (), {}, None)
    shardings = compute_shardings(Toy(), state, mesh8, fsdp=True).params
    assert shardings["big"].spec == jax.sharding.PartitionSpec(None, "data", None)
    assert shardings["odd"].is_fully_replicated and shardings["one"].is_fully_replicated


def test_step_traces_once(mesh8):
    method, optimizer = Toy(), optax.adam(1e-3)
    state = init_state(method, optimizer, jax.random.key(1), toy_batch(2), False)
    trainable_mask = jax.tree.map(lambda _: True, state.params)
    shardings = compute_shardings(method, state, mesh8, fsdp=False)
    fixed = dict(seed=0, total_steps=9, trainable_mask=trainable_mask, state_shardings=shardings)
    step = build_train_step(method, optimizer, mesh8, **fixed)
    state = jax.device_put(state, shardings)
    for seed in range(3):
        state, _ = step(state, jax.device_put(toy_batch(ROWS, seed), row_sharding(mesh8)))
    assert step._cache_size() == 1
