"""PSD: the partition, the schedule, the alarms, and equal raw gradients on 1 and 8 devices."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from jax.sharding import PartitionSpec as P
from ml_collections import ConfigDict

from tests.configs import tiny
from tests.toy import assert_gradients_close, recording_sgd
from vujax import methods
from vujax.methods import diagnostics, distill
from vujax.methods.base import StepContext
from vujax.training import setup
from vujax.utils.mesh import AXIS, make_global_batch

ROWS = 32
BEFORE = dict(  # the schedule of configs of earlier versions, without dropout
    unaligned_end=0.4, unaligned_begin=0.0, unaligned_full=1.0, dropout=0.0
)
CONTROLS = {
    "clip": dict(unaligned_end=0.0, dropout=0.0),
    "clip_dropout": dict(unaligned_end=0.0, dropout=0.1),
    "psd": dict(unaligned_start=0.5, target="half_columns", dropout=0.1),
    "swapped_rows": BEFORE | dict(unaligned_start=0.5, target="swapped_rows"),
    "plain_sharp": dict(unaligned_start=0.5, target="plain", teacher_temperature=0.5),
    "ema_teacher": dict(unaligned_start=0.5, teacher="ema"),
    "albef": dict(unaligned_start=1.0, unaligned_end=1.0, teacher="ema", soft_weight=0.4),
    "label_smoothing": dict(unaligned_end=0.0, label_smoothing=0.1),
    "cyclip": dict(unaligned_end=0.0, cyclip=0.25),
    "sigmoid": dict(loss="sigmoid", unaligned_end=0.0),
}


def config_of(method: dict, **overrides):
    """Return a tiny model's config with these settings of the method."""
    return tiny(**{f"method.{k}": v for k, v in method.items()}, **overrides)


def host_batch(size: int = 16):
    rng = np.random.default_rng(0)
    tokens = np.zeros((ROWS, 8), np.int32)
    tokens[:, :5] = rng.integers(1, 49000, (ROWS, 5))
    tokens[:, 5] = 49407
    return {
        "image": rng.integers(0, 255, (ROWS, size, size, 3), dtype=np.uint8),
        "tokens": tokens,
        "index": np.arange(ROWS, dtype=np.int32),
    }


def step_once(config, mesh, monkeypatch):
    """Return `(gradients, metrics, aux)` of the first step on `mesh`."""
    monkeypatch.setattr(setup.optim, "build_optimizer", lambda *_, **__: recording_sgd())
    parts = setup.build_parts(config, mesh)
    state = setup.create_state(parts, seed=0)
    after, metrics = jax.device_get(
        parts.step(state, make_global_batch(mesh, host_batch(config.model.image.image_size)))
    )
    return after.opt_state, metrics, after.aux


@pytest.fixture(scope="module")
def psd(mesh1):
    """Raw gradients, metrics and aux of PSD's first step on one device."""
    with pytest.MonkeyPatch.context() as patch:
        return step_once(config_of(CONTROLS["psd"]), mesh1, patch)


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        dict(micro_batches=2),
        dict(fsdp=True),
    ],
)
@pytest.mark.long
def test_whole_network_on_eight_devices(overrides, psd, mesh8, monkeypatch):
    grads, metrics, aux = psd
    config = config_of(CONTROLS["psd"], **overrides)
    grads8, metrics8, extra8 = step_once(config, mesh8, monkeypatch)
    assert optax.global_norm(grads) > 1e-3
    assert_gradients_close(grads8, grads, 1e-4)
    chex.assert_trees_all_close(metrics8, metrics, rtol=1e-3, atol=1e-4)
    chex.assert_trees_all_close(extra8, aux, rtol=1e-4, atol=1e-5)


def embeddings_of(control: dict, rows: int) -> distill.Embeddings:
    keys = jax.random.split(jax.random.key(5), 4)
    vectors = [jax.random.normal(key, (rows, 16)) for key in keys]
    image, text, *teacher = (v / jnp.linalg.norm(v, axis=1, keepdims=True) for v in vectors)
    aux = {"teacher": tuple(teacher)} if control.get("teacher") == "ema" else {}
    scale = {"scale": jnp.asarray(14.0)}
    bias = {"bias": jnp.asarray(-3.0)} if control.get("loss") == "sigmoid" else {}
    return distill.Embeddings({"image": image, "text": text} | aux, scale | bias)


@pytest.mark.parametrize("control", CONTROLS)
def test_objective_on_eight_devices(control, mesh8):
    """Compare loss, metrics and raw gradients by embeddings, scale and bias, for every control."""
    method = methods.build_method(None, name="distill", **CONTROLS[control])
    embeddings, rng = embeddings_of(CONTROLS[control], ROWS), jax.random.key(2)

    def value(embeddings, axis_name):
        context = StepContext(rng, jnp.asarray(0.5), axis_name)
        loss, (_, metrics) = method.objective(embeddings, {}, context)
        return loss, metrics

    def share(embeddings):
        rows, shared = embeddings
        mine = distill.Embeddings(rows, lax.pcast(shared, AXIS, to="varying"))
        (loss, metrics), grads = jax.value_and_grad(value, has_aux=True)(mine, AXIS)
        summed = distill.Embeddings(grads.rows, lax.psum(grads.shared, AXIS))
        return (lax.psum(loss, AXIS), metrics), summed

    specs = distill.Embeddings(P(AXIS), P())
    got = jax.jit(jax.shard_map(share, mesh=mesh8, in_specs=(specs,), out_specs=(P(), specs)))(
        embeddings
    )
    want = jax.jit(jax.value_and_grad(value, has_aux=True), static_argnums=1)(embeddings, None)
    chex.assert_trees_all_close(got[0], want[0], rtol=1e-4, atol=1e-6)
    assert_gradients_close(got[1], want[1], 1e-5)


@pytest.mark.long
def test_batch_norm_sees_the_whole_batch(mesh1, mesh8, monkeypatch):
    config = config_of(CONTROLS["clip"])
    with config.unlocked():
        config.model.image = ConfigDict(
            dict(kind="resnet", variant="RN50", image_size=32, width=8, blocks=(1, 1, 1, 1))
        )
    grads, _, aux = step_once(config, mesh1, monkeypatch)
    grads8, _, extra8 = step_once(config, mesh8, monkeypatch)
    assert_gradients_close(grads8, grads, 1e-3)
    chex.assert_trees_all_close(extra8, aux, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_partition_is_exact_and_global(share, mesh8):
    rng = jax.random.key(7)
    whole = distill.partition_rows(rng, jnp.asarray(share), ROWS, None)
    assert whole.sum() == round(share * ROWS)
    parts = jax.shard_map(
        lambda: distill.partition_rows(rng, jnp.asarray(share), ROWS // 8, AXIS),
        mesh=mesh8,
        in_specs=(),
        out_specs=P(AXIS),
    )()
    np.testing.assert_array_equal(parts, whole)


def test_partition_changes_with_the_step():
    first, second = (
        distill.partition_rows(jax.random.fold_in(jax.random.key(0), step), 0.5, 256, None)
        for step in (0, 1)
    )
    assert 64 < (first != second).sum() < 192


def test_share_is_half_a_cosine():
    shares = distill.compute_unaligned_share(jnp.array([0.0, 0.5, 1.0, 2.0]), 0.2, 0.8)
    np.testing.assert_allclose(shares, [0.2, 0.5, 0.8, 0.8], rtol=1e-6)


def test_share_is_constant_before_begin_and_after_full():
    progress = jnp.array([0.0, 0.1, 0.25, 0.4, 1.0])
    shares = distill.compute_unaligned_share(progress, 0.0, 0.7, begin=0.1, full=0.4)
    np.testing.assert_allclose(shares, [0.0, 0.0, 0.35, 0.7, 0.7], atol=1e-6)
    jump = distill.compute_unaligned_share(progress, 0.0, 0.7, begin=0.25, full=0.25)
    np.testing.assert_allclose(jump, [0.0, 0.0, 0.0, 0.7, 0.7], atol=1e-6)


def test_a_config_without_the_new_keys_keeps_its_schedule():
    progress = jnp.linspace(0, 1, 9)
    cosine = 0.2 + 0.6 * 0.5 * (1.0 - jnp.cos(jnp.pi * jnp.clip(progress, 0.0, 1.0)))
    method = methods.build_method(None, name="distill", unaligned_start=0.2, target="swapped")
    shares = distill.compute_unaligned_share(
        progress, 0.2, 0.8, begin=method.unaligned_begin, full=method.unaligned_full
    )
    chex.assert_trees_all_equal(shares, cosine)
    assert (method.target, method.dropout) == ("swapped_rows", 0.0)


def test_the_student_drops_units_by_example_and_the_teacher_sees_everything(mesh1):
    config = config_of(CONTROLS["psd"])
    parts = setup.build_parts(config, mesh1)
    params = setup.create_state(parts, seed=0).params
    batch = host_batch()

    def embed(batch, **settings):
        method = dataclasses.replace(parts.method, **settings)
        return method.embed(params, {}, batch, at_progress(0.5)).rows

    rows, undropped = embed(batch), embed(batch, dropout=0.0)
    assert "teacher" not in undropped
    chex.assert_trees_all_equal(rows["teacher"], (undropped["image"], undropped["text"]))
    assert min(jnp.abs(rows[k] - undropped[k]).max() for k in ("image", "text")) > 1e-2
    order = np.random.default_rng(0).permutation(ROWS)[: ROWS // 2]
    some = embed({name: value[order] for name, value in batch.items()})
    chex.assert_trees_all_close(some["image"], rows["image"][order], atol=1e-5)
    chex.assert_trees_all_close(some["text"], rows["text"][order], atol=1e-5)


@pytest.mark.long
def test_a_frozen_tower_runs_once_and_without_dropout(mesh1):
    rules = (("image/.*", None), (".*", 1.0))
    config = config_of(CONTROLS["psd"], **{"optimizer.rules": rules})
    free, frozen = (
        setup.build_parts(given, mesh1).method for given in (config_of(CONTROLS["psd"]), config)
    )
    assert (free.model.frozen, frozen.model.frozen) == ((), ("image",))
    batch = host_batch()
    params, aux = free.init(jax.random.key(0), batch)

    def embed(method):
        return jax.jit(lambda p: method.embed(p, aux, batch, at_progress(0.5)).rows)

    def count(method):
        return embed(method).lower(params).compile().cost_analysis()["flops"]

    rows, undropped = embed(frozen)(params), embed(dataclasses.replace(free, dropout=0.0))(params)
    chex.assert_trees_all_close(rows["image"], undropped["image"], atol=1e-6)
    teacher = (undropped["image"], undropped["text"])
    chex.assert_trees_all_close(rows["teacher"], teacher, atol=1e-6)
    assert jnp.abs(rows["text"] - undropped["text"]).max() > 1e-2
    added = {  # by the teacher
        method.model.frozen: count(method)
        - count(dataclasses.replace(method, unaligned_start=0.0, unaligned_end=0.0))
        for method in (free, frozen)
    }
    text = jax.jit(lambda p: free.model.apply({"params": p}, batch["tokens"], method="encode_text"))
    assert 0 < added["image",] <= text.lower(params).compile().cost_analysis()["flops"]
    assert added["image",] < 0.8 * added[()]


def test_a_tower_with_a_trainable_head_is_not_frozen(mesh1):
    rules = (("image/head.*", 1.0), ("image/.*", None), (".*", 1.0))
    config = config_of(CONTROLS["psd"], **{"optimizer.rules": rules})
    assert setup.build_parts(config, mesh1).method.model.frozen == ()


def test_a_batch_of_one_pair_is_refused():
    method = methods.build_method(None, name="distill")
    with pytest.raises(ValueError, match="a batch of 1 pair has no negatives: set batch_size"):
        method.objective(embeddings_of({}, 1), {}, at_progress(0.5))


def test_spread_of_known_vectors():
    line = jnp.tile(jnp.array([[1.0, 0.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0]]), (8, 1))
    rank, _ = diagnostics.compute_spread(line, None)
    np.testing.assert_allclose(rank, 1.0, rtol=1e-5)
    axes = jnp.concatenate([jnp.eye(4), -jnp.eye(4)])
    rank, std = diagnostics.compute_spread(axes, None)
    np.testing.assert_allclose([rank, std], [4.0, 1.0], rtol=1e-5)
    _, std = diagnostics.compute_spread(jnp.ones((8, 4)) / 2, None)
    assert std == 0


def at_progress(share: float) -> StepContext:
    return StepContext(jax.random.key(0), jnp.full((), share))


def test_collapsed_embeddings_raise_every_alarm():
    method = methods.build_method(None, name="distill")
    same = jnp.tile(jnp.eye(1, 16), (64, 1))
    embeddings = distill.Embeddings({"image": same, "text": same}, {"scale": jnp.asarray(14.0)})
    _, (_, metrics) = method.objective(embeddings, {}, at_progress(1.0))
    raised = {name for name, value in metrics.items() if name.startswith("alarm/") and value}
    assert raised == {"alarm/uniform_targets", "alarm/low_rank", "alarm/low_variance"}
    spread_out = jax.random.normal(jax.random.key(1), (64, 16))
    spread_out /= jnp.linalg.norm(spread_out, axis=1, keepdims=True)
    rows = {"image": spread_out, "text": spread_out}
    embeddings = distill.Embeddings(rows, {"scale": jnp.asarray(14.0)})
    _, (_, metrics) = method.objective(embeddings, {}, at_progress(1.0))
    assert not any(value for name, value in metrics.items() if name.startswith("alarm/"))


def test_the_start_of_a_training_is_no_collapse():
    method = methods.build_method(None, name="distill")
    same = jnp.tile(jnp.eye(1, 16), (64, 1))
    embeddings = distill.Embeddings({"image": same, "text": same}, {"scale": jnp.asarray(14.0)})
    _, (_, metrics) = method.objective(embeddings, {}, at_progress(0.0))
    assert not any(value for name, value in metrics.items() if name.startswith("alarm/"))


@pytest.mark.long
def test_ema_teacher_follows_once_per_step(mesh1, monkeypatch):
    config = config_of(CONTROLS["ema_teacher"], micro_batches=2)
    config.method.teacher_decay = 0.75
    grads, _, aux = step_once(config, mesh1, monkeypatch)
    parts = setup.build_parts(config, mesh1)
    start = jax.device_get(setup.create_state(parts, seed=0)).params
    want = jax.tree.map(lambda p, g: p - 0.25 * g, start, grads)
    chex.assert_trees_all_close(aux["teacher"], want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(name="distil"), "unknown method 'distil'; expected one of: .*distill"),
        (
            dict(name="distill", targets="plain"),
            "unknown setting method.targets of method 'distill'; expected one of: cyclip",
        ),
        (
            dict(name="distill", target="swap"),
            "unknown method.target 'swap'; expected one of: plain, swapped_rows",
        ),
        (dict(name="distill", loss="sigmoid"), "has no soft targets"),
        (
            dict(name="distill", unaligned_end=1.2),
            r"method.unaligned_end must be a share from 0 to 1, got 1.2",
        ),
        (
            dict(name="distill", soft_weight=float("nan")),
            r"method.soft_weight must be a share from 0 to 1, got nan",
        ),
        (
            dict(name="distill", unaligned_begin=0.5, unaligned_full=0.4),
            r"method.unaligned_begin 0.5 is after method.unaligned_full 0.4",
        ),
        (dict(name="distill", dropout=1), "method.dropout must be below 1, got 1"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        methods.build_method(None, **settings)
