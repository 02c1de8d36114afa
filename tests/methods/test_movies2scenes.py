"""Movies2Scenes by definition: positives, loss, momentum, queue; the same on 8 devices."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.data.boundary_films import MemoryFilm
from tests.losses import draws
from tests.losses.cases import unit
from tests.methods.test_boundary import program
from tests.toy import assert_gradients_close, recording_sgd
from vujax.data.movies.guide import ANY, NONE, GuidedRows, select_similar_movies
from vujax.data.scenes import FilmScenes
from vujax.losses.memory_bank import NO_FILM
from vujax.methods.base import StepContext
from vujax.methods.movies2scenes import CANDIDATE_STREAM, Movies2Scenes, drop_shots
from vujax.models.projection import ContrastModel, Projection
from vujax.models.scene_encoder import build_scene_encoder
from vujax.training.step import init_state
from vujax.utils.mesh import make_global_batch, make_mesh

FILMS, SHOTS, WIDTH, MOST, ROWS, DIM = 6, 40, 12, 4, 8, 6
PLAIN = dict(crop=1.0, flip=0.0, colour=0.0, grey=0.0, dropout=0.0, gain=0.0, mask=0.0)
SIZES = dict(width=16, layers=1, heads=2, dim=8, max_shots=WIDTH)
MODEL = ContrastModel(build_scene_encoder(variant="tiny", **SIZES), Projection((DIM,)))
KEYS = ROWS * MOST
SIMILAR = np.array([[1, 2], [0, NONE], [NONE, NONE], [ANY, NONE], [5, 0], [4, NONE]], np.int32)


@functools.cache
def scenes() -> FilmScenes:
    rng, films, runs = np.random.default_rng(0), [], []
    for film in range(FILMS):
        feature = rng.normal(size=(SHOTS, 10)).astype(np.float32)
        films.append(MemoryFilm(f"film-{film}", {"feature": feature}, None))
        cuts = [0, *sorted(rng.choice(np.arange(1, SHOTS), 9, replace=False).tolist()), SHOTS]
        for first, last in itertools.pairwise(cuts):
            runs.append((film, first, min(last, first + WIDTH)))
    return FilmScenes(tuple(films), np.array(runs, np.int64))


@functools.cache
def batch_of(step: int = 0):
    rows = GuidedRows(scenes(), {"feature": (10,)}, SIMILAR, width=WIDTH, most=MOST)
    stream = rows.train_batches(batch_size=ROWS, seed=3, start_step=step)
    try:
        return next(stream)
    finally:
        stream.close()


def method_of(**settings) -> Movies2Scenes:
    given = dict(queue=3 * KEYS, temperature=0.3, momentum=0.75, drop=0.0, tile=20, augment=PLAIN)
    return Movies2Scenes(MODEL, **given | settings)


def in_use(method):
    """Return a state in the middle of a training, whose queue has scenes and empty entries."""
    rng = np.random.default_rng(1)
    init = functools.partial(init_state, method, recording_sgd(), jax.random.key(0), ema=False)
    shapes = jax.eval_shape(init, batch_of())
    normal = lambda x: rng.normal(0, 0.5, x.shape).astype(x.dtype)  # noqa: E731
    state = jax.tree.map(normal, shapes).replace(step=np.int32(3))
    number = rng.integers(-1, len(scenes().keys), (3, KEYS)).astype(np.int32)
    film = np.where(number < 0, NO_FILM, scenes().movie[number]).astype(np.int32)
    vectors = unit(rng.normal(size=(3, KEYS, DIM)))
    state.aux["queue"] = dict(vectors=vectors, film=film, scene=number, next=np.int32(2))
    return state


@functools.cache
def step_once(devices: int, settings: tuple[tuple[str, Any], ...] = (), **layout):
    """Return `(before, after, metrics)`; the optimizer state is the raw gradient."""
    method = method_of(**dict(settings))
    mesh = make_mesh(jax.devices()[:devices])
    before, step = program(method, mesh, batch_of(), in_use(method), **layout)
    after, metrics = jax.device_get(step(before, make_global_batch(mesh, batch_of())))
    return before, after, metrics


@jax.jit
def compared(params, batch):
    return MODEL.apply({"params": params}, batch)[1].reshape(KEYS, DIM)


def bank_after(before):
    """Return `(vectors, films, scenes)` `[r ...]` of the queue with the batch's keys in slot 2."""
    key = np.asarray(compared(before.aux["key"]["params"], batch_of()))
    new = {
        "vectors": key,
        "film": batch_of()["movie"].ravel(),
        "scene": batch_of()["scene"].ravel(),
    }
    queue = {name: before.aux["queue"][name].copy() for name in new}
    for name, value in new.items():
        queue[name][2] = value
    return tuple(x.reshape(-1, *x.shape[2:]) for x in queue.values())


def hash_seed(step: int) -> int:
    """Return the seed of a step's draws."""
    rng = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), step), CANDIDATE_STREAM)
    return int(jax.random.bits(rng, dtype=jnp.uint32))


def positives(before, candidates: int = 0):
    """Return the position in the bank of each scene's positive, or -1."""
    vectors, films, numbers = bank_after(before)
    seed = hash_seed(int(before.step))
    key = np.asarray(compared(before.aux["key"]["params"], batch_of()))
    movie, scene = batch_of()["movie"].ravel(), batch_of()["scene"].ravel()
    found = np.full(KEYS, -1)
    for i in np.flatnonzero(movie >= 0):
        lists = SIMILAR[movie[i]].tolist()
        listed = np.isin(films, lists) | ((ANY in lists) & (films != movie[i]))
        allowed = listed & (films != NO_FILM) & (numbers != scene[i])
        if candidates == 1:
            found[i] = draws.draw(seed, int(scene[i]), allowed, films, numbers)
            continue
        if candidates:
            drawn = draws.draw_several(seed, int(scene[i]), allowed, films, numbers, candidates)
            allowed &= np.isin(numbers, drawn)
        if allowed.any():
            found[i] = np.where(allowed, vectors @ key[i], -np.inf).argmax()
    return found


def dense(before, mask_similar: bool = False, candidates: int = 0, alone: str = "augment"):
    """Compute loss and gradient with all logits in one matrix."""
    vectors, films, numbers = bank_after(before)
    movie, scene = batch_of()["movie"].ravel(), batch_of()["scene"].ravel()
    chosen = positives(before, candidates)
    counts = (movie >= 0) & ((chosen >= 0) | (alone == "augment"))
    own = np.asarray(compared(before.aux["key"]["params"], batch_of()))
    positive = np.where((chosen >= 0)[:, None], vectors[chosen], own)
    number = np.where(chosen >= 0, numbers[chosen], scene)
    mask = (films != NO_FILM) & (films != movie[:, None]) & (numbers != number[:, None])
    if mask_similar:
        listed = [np.isin(films, SIMILAR[m]) for m in movie]
        mask &= ~np.stack(listed)

    def loss(params):
        query = compared(params, batch_of())
        logits = jnp.concatenate([(query * positive).sum(1)[:, None], query @ vectors.T], 1) / 0.3
        there = np.concatenate([np.ones((KEYS, 1), bool), mask], axis=1)
        log_p = jax.nn.log_softmax(jnp.where(there, logits, -jnp.inf))[:, 0]
        return -log_p[counts].mean()

    return jax.jit(jax.value_and_grad(loss))(before.params)


def test_the_batch_has_what_the_tests_need():
    movie = batch_of()["movie"].ravel()
    assert set(movie.tolist()) == {-1, *range(FILMS)}
    before, _, _ = step_once(1)
    chosen = positives(before)
    assert (chosen[movie == 2] < 0).all() and (chosen[np.isin(movie, [0, 3])] >= 0).all()


@pytest.mark.parametrize(
    ("devices", "settings"),
    [
        *((devices, dict(mask_similar=mask)) for devices in (1, 8) for mask in (False, True)),
        (8, dict(candidates=1)),
        (8, dict(candidates=3, alone="skip")),
    ],
)
def test_loss_and_raw_gradients_are_those_of_the_dense_form(devices, settings):
    before, after, metrics = step_once(devices, tuple(settings.items()))
    value, grads = dense(before, **settings)
    np.testing.assert_allclose(metrics["loss"], value, rtol=1e-5)
    assert_gradients_close(after.opt_state, jax.device_get(grads), 1e-4)


@pytest.mark.parametrize("layout", [dict(micro_batches=2), dict(fsdp=True)])
def test_micro_batches_and_sharded_parameters_change_nothing(layout):
    devices = 8 if "fsdp" in layout else 1
    _, after, metrics = step_once(1)
    _, other, found = step_once(devices, **layout)
    np.testing.assert_allclose(found["loss"], metrics["loss"], rtol=1e-5)
    assert_gradients_close(other.opt_state, after.opt_state, 1e-4)


@pytest.mark.parametrize("devices", [1, 8])
def test_keys_join_the_queue_in_the_place_of_the_oldest(devices):
    before, after, _ = step_once(devices)
    vectors, films, numbers = bank_after(before)
    queue = after.aux["queue"]
    np.testing.assert_allclose(queue["vectors"].reshape(-1, DIM), vectors, atol=1e-5)
    np.testing.assert_array_equal(queue["film"].ravel(), films)
    np.testing.assert_array_equal(queue["scene"].ravel(), numbers)
    assert queue["next"] == 0


def test_the_key_encoder_follows_once_a_step():
    before, after, _ = step_once(1)
    want = jax.tree.map(
        lambda slow, new: 0.75 * slow + 0.25 * new, before.aux["key"]["params"], after.params
    )
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6),
        after.aux["key"]["params"],
        want,
    )


def test_what_it_tells_of_the_batch():
    before, _, metrics = step_once(8)
    chosen, movie = positives(before), batch_of()["movie"].ravel()
    np.testing.assert_allclose(metrics["guided"], (chosen[movie >= 0] >= 0).mean(), rtol=1e-6)
    np.testing.assert_allclose(metrics["alone"], 1 - metrics["guided"], rtol=1e-6)
    query = np.asarray(compared(before.params, batch_of()))[movie >= 0]
    covariance = np.cov(query.T, bias=True)
    rank = np.trace(covariance) ** 2 / (covariance**2).sum()
    np.testing.assert_allclose(metrics["effective_rank"], rank, rtol=1e-4)


def test_no_positive_is_of_a_movie_that_is_not_listed():
    """Check that candidates of 'same' are the movie's own, and that 'augmentation' has none."""
    ids = scenes().movies
    options = dict(k=2, channels={}, tables={})
    for guide, share in (("same", 1.0), ("augmentation", 0.0)):
        similar = select_similar_movies(ids, guide, **options).similar
        batch = batch_of() | {
            "similar": np.where(
                batch_of()["movie"][..., None] < 0, NONE, similar[batch_of()["movie"]]
            )
        }
        method, mesh = method_of(), make_mesh(jax.devices()[:1])
        _, step = program(method, mesh, batch, in_use(method))
        metrics = step(in_use(method), make_global_batch(mesh, batch))[1]
        assert metrics["guided"] == share


def test_views_lack_shots_and_never_all_of_a_scene():
    segment = batch_of()["segment"]
    keys = jax.random.split(jax.random.key(0), len(segment))
    found = np.asarray(drop_shots(segment, keys, 0.5))
    assert set(np.unique(found[found != segment]).tolist()) == {0}
    for row, kept in zip(segment, found, strict=True):
        assert set(row.tolist()) - {0} == set(kept.tolist()) - {0}
    gone = (found != segment)[segment > 0].mean()
    assert 0.2 < gone < 0.5
    np.testing.assert_array_equal(drop_shots(segment, keys, 0.0), segment)


def test_views_depend_on_the_row_alone():
    method = method_of(drop=0.5, augment={})
    state, batch = in_use(method), batch_of()
    context = StepContext(jax.random.key(2), 0.0)
    embed = jax.jit(lambda b: method.embed(state.params, state.aux, b, context))
    whole, part = embed(batch).rows, embed({k: v[3:5] for k, v in batch.items()}).rows
    for name in ("query", "key"):
        np.testing.assert_allclose(whole[name][3:5], part[name], atol=1e-5)
    assert not np.allclose(whole["query"], whole["key"])


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (dict(queue=KEYS + 1), "must be a multiple of the 32 scenes that fit in a batch"),
        (dict(queue=0), "must be a multiple"),
        (dict(temperature=0.0), "must be above 0"),
        (dict(drop=1.0), "to below 1"),
        (dict(tile=0), "must be 1 or more"),
        (dict(candidates=-1), "method.candidates -1 0 or more"),
        (dict(min_rank=-1.0), "method.min_rank must be 0 or more, got -1.0"),
        (dict(alone="drop"), "unknown method.alone 'drop'; expected one of: augment, skip"),
        (
            dict(augment=dict(blur=1)),
            "unknown setting method.augment.blur; expected one of: colour, crop",
        ),
    ],
)
def test_settings_that_cannot_be(settings, why):
    with pytest.raises(ValueError, match=why):
        method = method_of(**settings)
        jax.eval_shape(functools.partial(method.init, jax.random.key(0)), batch_of())


@pytest.mark.parametrize(("min_rank", "raised"), [(0.0, 0.0), (float(DIM) + 1, 1.0)])
def test_the_alarm_of_low_rank_knows_how_many_directions_are_guided(min_rank, raised):
    method = method_of(min_rank=min_rank)
    stats = {"effective_rank": jnp.float32(3.0), "embedding_std": jnp.float32(0.5)}
    assert method.detect_collapse(stats, jnp.float32(0.75))["alarm/low_rank"] == raised
    assert method.detect_collapse(stats, jnp.float32(0.05))["alarm/low_rank"] == 0
