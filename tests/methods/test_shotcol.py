"""ShotCoL by definition: positives, loss, momentum, queue; the same on 1 and 8 devices."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.data.boundary_films import MemoryFilm
from tests.losses.cases import unit
from tests.methods.test_boundary import Encoder, program
from tests.toy import assert_gradients_close, recording_sgd
from vujax.data.shot_windows import ShotWindows, find_parts
from vujax.losses.memory_bank import NO_FILM
from vujax.methods.base import Embeddings, StepContext
from vujax.methods.shotcol import ShotCoL
from vujax.models.projection import ContrastModel, Projection
from vujax.models.shot_encoder import build_shot_encoder
from vujax.training.step import State, init_state
from vujax.utils.mesh import make_global_batch, make_mesh

WINDOWS, BLOCK, NEIGHBOURS, DIM = 16, 2, 2, 6
QUERIES = WINDOWS * BLOCK
SHOTS = (9, 1, 2, 14, 5)  # of the films
PLAIN = dict(crop=1.0, flip=0.0, colour=0.0, grey=0.0, dropout=0.0, gain=0.0, mask=0.0)
MODEL = ContrastModel(build_shot_encoder(feature=dict(hidden=(12,), dim=8)), Projection((DIM,)))
CONTROLS = {
    "nearest": dict(queue=2 * QUERIES),
    "soft": dict(queue=2 * QUERIES, soft_temperature=0.5),
    "random": dict(queue=0, mask_radius=1),
    "instance": dict(queue=2 * QUERIES, mask_radius=0),
    "simclr": dict(queue=0, mask_radius=0),
}


@functools.cache
def films():
    """Generate features of film and shot with noise."""
    rng, found = np.random.default_rng(0), []
    for number, n in enumerate(SHOTS):
        place = np.stack([np.full(n, number), np.arange(n)], axis=1)
        feature = np.concatenate([place, rng.normal(size=(n, 6))], axis=1).astype(np.float32)
        found.append(MemoryFilm(f"film-{number}", {"feature": feature}, None))
    return found


@functools.cache
def batches(count: int, ends: str = "shift"):
    cut = dict(neighbours=NEIGHBOURS, block=BLOCK, ends=ends)
    stream = ShotWindows(films(), {"feature": (8,)}, **cut).train_batches(
        batch_size=WINDOWS, seed=4
    )
    try:
        return [next(stream) for _ in range(count)]
    finally:
        stream.close()


def method_of(mode: str, augment: dict | None = None, **settings) -> ShotCoL:
    given = dict(mode=mode, temperature=0.3, momentum=0.75) | CONTROLS[mode] | settings
    return ShotCoL(MODEL, augment=PLAIN if augment is None else augment, **given)


def in_use(method, batch) -> State:
    """Return a state in the middle of a training, whose queue has some empty entries."""
    rng = np.random.default_rng(1)
    init = functools.partial(init_state, method, recording_sgd(), jax.random.key(0), ema=False)
    shapes = jax.eval_shape(init, batch)
    normal = lambda x: rng.normal(0, 0.5, x.shape).astype(x.dtype)  # noqa: E731
    state = jax.tree.map(normal, shapes).replace(step=np.int32(3))
    if "queue" in state.aux:
        _, n, dim = state.aux["queue"]["vectors"].shape
        film, shot = rng.integers((-1, 0), (len(SHOTS), 9), (2, n, 2), np.int32).transpose(2, 0, 1)
        vectors = unit(rng.normal(size=(2, n, dim)))
        state.aux["queue"] = dict(vectors=vectors, film=film, shot=shot, next=np.int32(1))
    return state


@functools.cache
def step_once(mode, devices: int, **layout):
    """Return `(before, after, metrics)`; the optimizer state is the raw gradient."""
    return step_of(method_of(mode), make_mesh(jax.devices()[:devices]), **layout)


def step_of(method, mesh, **layout):
    (batch,) = batches(1)
    before, step = program(method, mesh, batch, in_use(method, batch), **layout)
    after, metrics = jax.device_get(step(before, make_global_batch(mesh, batch)))
    return before, after, metrics


def nearest(seen: np.ndarray, batch) -> np.ndarray:
    """Return positions of the most similar candidates, one query at a time."""
    found = batch["query"].copy()
    for row, query in np.ndindex(*found.shape):
        at = batch["query"][row, query]
        cosines = {
            place: seen[row, at] @ seen[row, place]
            for place in np.flatnonzero(batch["candidate"][row, query])
        }
        found[row, query] = max(cosines, key=cosines.get) if cosines else at
    return found


def compared(params, feature):
    """Unit vectors `[... p]` of features `[... f]`."""
    flat = jnp.reshape(feature, (-1, feature.shape[-1]))
    return MODEL.apply({"params": params}, {"feature": flat})[1].reshape(*feature.shape[:-1], -1)


def rows_of(x, place):
    return np.take_along_axis(x, place[..., None], axis=1).reshape(-1, x.shape[-1])


def steps_to_positive(rows) -> np.ndarray:
    return np.asarray(rows["key_shot"] - rows["shot"])


def places_of(method, before, batch) -> np.ndarray:
    """Return positives by definition; random ones are those of `embed`, tested elsewhere."""
    if method.mode == "instance":
        return batch["query"]
    if method.mode in ("random", "soft"):
        rng = jax.random.fold_in(jax.random.key(0), before.step)
        context = StepContext(rng, 0.0)
        embed = jax.jit(lambda b: method.embed(before.params, before.aux, b, context).rows)
        return batch["query"] + steps_to_positive(embed(batch))
    return nearest(np.asarray(compared(before.params, batch["feature"])), batch)


def dense_loss(params, method, before, batch, place):
    """Compute the mean over queries of -log softmax at the positive, all logits in one matrix."""
    one, two = rows_of(batch["feature"], batch["query"]), rows_of(batch["feature"], place)
    film = np.where(batch["valid"], batch["film"][:, None], NO_FILM).ravel()
    shot, other = batch["shot"].ravel(), (batch["shot"] + place - batch["query"]).ravel()
    row, query = np.arange(QUERIES), compared(params, one)
    if method.mode == "simclr":
        query = jnp.concatenate([query, compared(params, two)])
        key, film, row = jnp.roll(query, QUERIES, axis=0), np.tile(film, 2), np.tile(row, 2)
        shot = np.concatenate([shot, other])
        bank = (query, film, shot, row)
    else:
        key = compared(before.aux["key"]["params"], two)
        bank = (key, film, other, row)
    if method.queue:
        queue = before.aux["queue"]
        bank = (queue["vectors"].reshape(-1, DIM), queue["film"].ravel(), queue["shot"].ravel())
        bank += (np.full(method.queue, -1),)
    vectors, films_there, shots_there, rows_there = bank
    near = abs(shot[:, None] - shots_there) <= method.mask_radius
    mask = (films_there != NO_FILM) & (row[:, None] != rows_there)
    mask &= ~(near & (film[:, None] == films_there))
    assert 0 < mask.mean() < 1
    logits = jnp.where(mask, query @ vectors.T, -jnp.inf)
    logits = jnp.concatenate([(query * key).sum(1)[:, None], logits], axis=1) / method.temperature
    return -jax.nn.log_softmax(logits)[:, 0][film != NO_FILM].mean()


@functools.cache
def dense(mode):
    """Compute `((loss, gradients), positives)` of a mode's step, by definition."""
    method, (batch,) = method_of(mode), batches(1)
    before = in_use(method, batch)
    place = places_of(method, before, batch)
    loss = functools.partial(dense_loss, method=method, before=before, batch=batch, place=place)
    return jax.device_get(jax.jit(jax.value_and_grad(loss))(before.params)), place


@pytest.mark.parametrize(
    ("mode", "devices", "layout"),
    [
        ("nearest", 8, {}),
        ("nearest", 1, dict(micro_batches=2)),
        ("nearest", 8, dict(fsdp=True)),
        ("soft", 8, {}),
        ("random", 1, {}),
        ("instance", 1, {}),
        ("simclr", 8, dict(micro_batches=2)),
    ],
)
def test_loss_and_raw_gradients(mode, devices, layout):
    (loss, grads), _ = dense(mode)
    _, after, metrics = step_once(mode, devices, **layout)
    assert optax.global_norm(grads) > 1e-2
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5)
    assert_gradients_close(after.opt_state, grads, 1e-4)


def test_metrics_and_the_key_encoder():
    before, after, metrics = step_once("nearest", 8)
    (batch,) = batches(1)
    far = abs(dense("nearest")[1] - batch["query"])
    np.testing.assert_allclose(metrics["shots_to_positive"], far.mean(), rtol=1e-6)
    even = ((far > 0) & (far % 2 == 0)).mean()
    np.testing.assert_allclose(metrics["positive_even_lags"], even, rtol=1e-6)
    one, two = (rows_of(batch["feature"], p) for p in (batch["query"], dense("nearest")[1]))
    key = compared(before.aux["key"]["params"], two)
    close = (compared(before.params, one) * key).sum(1) > 0.9
    np.testing.assert_allclose(metrics["positive_near_copies"], close.mean(), rtol=1e-6)
    old = before.aux["key"]["params"]
    moved = jax.tree.map(lambda k, p: 0.75 * k + 0.25 * p, old, after.params)
    chex.assert_trees_all_close(after.aux["key"]["params"], moved, rtol=1e-6, atol=1e-7)


def steps_of(method, mesh, state, count: int):
    """Return the states before and after each of `count` steps, and the queue's sharding."""
    data, states = batches(count), [state]
    state, step = program(method, mesh, data[0], state)
    for batch in data:
        state, _ = step(state, make_global_batch(mesh, batch))
        states.append(jax.device_get(state))
    parts = state.aux["queue"]["vectors"].addressable_shards
    return states, {part.data.shape for part in parts}


def test_the_queue_is_first_in_first_out_and_equal_on_eight_devices(mesh1, mesh8):
    """Five steps through three places, so that it wraps around."""
    method = method_of("nearest", queue=3 * QUERIES, temperature=1.0)
    start = jax.device_get(program(method, mesh1, batches(1)[0])[0])
    assert (start.aux["queue"]["film"] == NO_FILM).all()
    alone, _ = steps_of(method, mesh1, start, 5)
    several, parts = steps_of(method, mesh8, start, 5)
    assert parts == {(3, QUERIES // 8, DIM)}  # every device holds its own keys
    encode = jax.jit(compared)
    for number, batch in enumerate(batches(5)):
        old, new = several[number], several[number + 1]
        place = nearest(np.asarray(encode(old.params, batch["feature"])), batch)
        key = encode(old.aux["key"]["params"], rows_of(batch["feature"], place))
        shot = batch["shot"] + place - batch["query"]
        film = np.where(batch["valid"], batch["film"][:, None], NO_FILM)
        want = jax.tree.map(np.copy, {**old.aux["queue"]})
        want["vectors"][number % 3], want["film"][number % 3] = key, film.ravel()
        want["shot"][number % 3], want["next"] = shot.ravel(), np.int32((number + 1) % 3)
        found = {**new.aux["queue"]}
        np.testing.assert_allclose(found["vectors"][number % 3], key, rtol=1e-4, atol=1e-5)
        want["vectors"][number % 3] = found["vectors"][number % 3]
        chex.assert_trees_all_equal(found, want)  # what was there has not moved, to the bit
        chex.assert_trees_all_close(found, {**alone[number + 1].aux["queue"]}, atol=1e-4)
    first, last = (optax.global_norm(alone[n].params) for n in (0, 5))
    assert abs(first - last) > 1e-2


def test_batch_norm_of_both_encoders_sees_the_whole_batch(mesh1, mesh8):
    method = ShotCoL(ContrastModel(Encoder()), queue=0, temperature=0.3, augment=PLAIN)
    _, one, _ = step_of(method, mesh1)
    before, eight, _ = step_of(method, mesh8)
    assert_gradients_close(eight.opt_state, one.opt_state, 1e-4)
    for get in (lambda s: s.aux, lambda s: s.aux["key"]):
        statistics = [get(state)["batch_stats"] for state in (before, one, eight)]
        chex.assert_trees_all_close(statistics[2], statistics[1], rtol=1e-5, atol=1e-6)
        mean = statistics[1]["encoder"]["norm"]["mean"]
        assert np.abs(mean - statistics[0]["encoder"]["norm"]["mean"]).max() > 1e-3


@pytest.mark.parametrize("ends", ["shift", "clip"])
@pytest.mark.parametrize("mode", ["nearest", "random"])
def test_positives_are_neighbours_in_the_film(mode, ends):
    method, data = method_of(mode, queue=0), batches(4, ends)
    state = in_use(method, data[0])
    embed = jax.jit(
        lambda b: method.embed(state.params, state.aux, b, StepContext(jax.random.key(1), 0.0)).rows
    )
    for batch in data:
        steps = steps_to_positive(embed(batch))
        n = np.array(SHOTS)[batch["film"]][:, None]
        positive = (batch["shot"] + steps)[batch["valid"]]
        n = np.broadcast_to(n, steps.shape)[batch["valid"]]
        assert (positive >= 0).all() and (positive < n).all()
        assert ((steps[batch["valid"]] == 0) == (n == 1)).all()
        reach = 2 * NEIGHBOURS if ends == "shift" else NEIGHBOURS
        assert abs(steps).max() <= reach


def count_positives(method, state, batch, draws):
    """Return how often each candidate is the positive of each query, over many draws."""

    def embed_once(key):
        return method.embed(state.params, state.aux, batch, StepContext(key, 0.0)).rows

    keys = jax.random.split(jax.random.key(2), draws)
    place = batch["query"] + steps_to_positive(jax.jit(jax.vmap(embed_once))(keys))
    return (place[..., None] == np.arange(batch["candidate"].shape[2])).mean(0)


def test_random_positives_are_all_neighbours_equally_often():
    method, (batch,) = method_of("random"), batches(1)
    counts = count_positives(method, in_use(method, batch), batch, 400)
    each = batch["candidate"] / np.maximum(batch["candidate"].sum(2, keepdims=True), 1)
    chosen = batch["candidate"].any(2)
    assert np.abs(counts - each)[chosen].max() < 0.12  # over four standard errors
    assert (counts[~batch["candidate"] & chosen[..., None]] == 0).all()


def test_soft_positives_are_drawn_in_proportion_to_their_exponential():
    method, (batch,) = method_of("soft"), batches(1)
    state = in_use(method, batch)
    counts = count_positives(method, state, batch, 600)
    seen = np.asarray(compared(state.params, batch["feature"]), np.float64)
    cosine = np.einsum("bqd,bwd->bqw", np.take_along_axis(seen, batch["query"][..., None], 1), seen)
    weight = np.where(batch["candidate"], np.exp(cosine / 0.5), 0)
    chosen = batch["candidate"].any(2)
    each = weight[chosen] / weight[chosen].sum(1, keepdims=True)
    assert each.max() > 0.4  # far from equal
    assert np.abs(counts[chosen] - each).max() < 0.09  # over four standard errors


@pytest.mark.parametrize(("temperature", "like"), [(1e-6, "nearest"), (1e9, "random")])
def test_soft_positives_between_nearest_and_random(temperature, like):
    method, (batch,) = method_of("soft", soft_temperature=temperature), batches(1)
    state = in_use(method, batch)
    context = StepContext(jax.random.key(3), 0.0)
    rows = jax.jit(lambda b: method.embed(state.params, state.aux, b, context).rows)(batch)
    place = batch["query"] + steps_to_positive(rows)
    at_most = nearest(np.asarray(compared(state.params, batch["feature"])), batch)
    assert (place == at_most).all() == (like == "nearest")


def test_walls_keep_positives_on_their_own_side():
    rng = np.random.default_rng(0)
    places = np.repeat(rng.normal(size=(4, 8)), 5, axis=0)
    feature = (places + 0.05 * rng.normal(size=places.shape)).astype(np.float32)
    film = MemoryFilm("film", {"feature": feature}, None)
    cut = dict(neighbours=4, block=2)
    assert np.bincount(find_parts(film, 3 / 19)).tolist() == [5, 5, 5, 5]
    examples = np.arange(0, 20, 2)
    one, walled = (
        ShotWindows([film], {"feature": (8,)}, walls=share, **cut).load_batch(examples, examples, 0)
        for share in (0.0, 3 / 19)
    )
    shot = walled["shot"][:, 0][:, None] - walled["query"][:, :1] + np.arange(10)
    own = walled["shot"][..., None] // 5 == shot[:, None] // 5
    assert (walled["candidate"] == (one["candidate"] & own)).all()
    assert walled["candidate"].sum() < one["candidate"].sum()
    with pytest.raises(
        ValueError, match=r"needs the input 'feature'; got 0\.2 and the inputs image"
    ):
        ShotWindows([film], {"image": (3,)}, walls=0.2)
    with pytest.raises(ValueError, match="must be from 0 to below 1"):
        ShotWindows([film], {"feature": (8,)}, walls=1.0)


def test_views_follow_the_index_and_the_step_not_the_row():
    method, (batch,) = method_of("instance", augment=dict(dropout=0.5)), batches(1)
    state = in_use(method, batch)
    state.aux["key"] = {"params": state.params}

    @jax.jit
    def rows(batch, key):
        return method.embed(state.params, state.aux, batch, StepContext(key, 0.0)).rows

    order = np.random.default_rng(1).permutation(WINDOWS)
    shuffled = {name: value[order] for name, value in batch.items()}
    first, again = rows(batch, jax.random.key(0)), rows(shuffled, jax.random.key(0))
    moved = jax.tree.map(lambda x: x[order], first)
    chex.assert_trees_all_close(again, moved, rtol=1e-4, atol=1e-6)
    later = rows(batch, jax.random.key(1))
    for other in (later["query"], first["key"]):
        assert (jnp.abs(other - first["query"]).max(2) > 1e-3).mean() > 0.9


def raised(vectors, progress: float) -> set[str]:
    method = ShotCoL(MODEL, queue=0)
    place = jnp.zeros((1, len(vectors)), jnp.int32)
    rows = dict(query=vectors[None], key=vectors[None], film=place, shot=place, key_shot=place)
    objective = jax.jit(method.objective)
    rng = jax.random.key(0)
    context = StepContext(rng, jnp.asarray(progress))
    _, (_, metrics) = objective(Embeddings(rows, {}), {}, context)
    return {name for name, value in metrics.items() if name.startswith("alarm/") and value}


def test_collapse_raises_alarms_but_not_at_the_start():
    same = jnp.tile(jnp.eye(1, 16), (64, 1))
    everywhere = jnp.asarray(unit(np.random.default_rng(0).normal(size=(64, 16))))
    assert raised(same, 0.5) == {"alarm/low_rank", "alarm/low_variance"}
    assert raised(same, 0.05) == raised(everywhere, 0.5) == set()
    line = same * jnp.where(jnp.arange(64) % 2, 1.0, -1.0)[:, None]
    assert raised(line, 0.5) == {"alarm/low_rank"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(mode="next"), "unknown method.mode 'next'; expected one of: nearest, soft"),
        (dict(mode="simclr"), "'simclr' takes its negatives from the batch: set method.queue to 0"),
        (dict(soft_temperature=0.0), "method.soft_temperature must be above 0, got 0.0"),
        (dict(queue=-1), "method.queue must not be negative, got -1"),
        (dict(temperature=0.0), "method.temperature 0.0 must be above 0"),
        (dict(momentum=1.5), "momentum 1.5 from 0 to 1"),
        (
            dict(augment=dict(blur=1)),
            "unknown setting method.augment.blur; expected one of: colour, crop",
        ),
        (dict(augment=dict(crop=0.0)), "method.augment.crop 0.0 is out of its range"),
        (dict(augment=dict(dropout=1.0)), "method.augment.dropout 1.0 is out of its range"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        ShotCoL(MODEL, **settings)


def test_a_queue_that_is_no_multiple_of_the_queries():
    with pytest.raises(ValueError, match="queue 48 must be a multiple of the 32 queries"):
        jax.eval_shape(method_of("nearest", queue=48).init, jax.random.key(0), batches(1)[0])
