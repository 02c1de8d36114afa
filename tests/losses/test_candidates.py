"""Positives among drawn candidates, against loops over pairs, on one device and eight."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses import banks, draws
from tests.losses.cases import unit
from vujax.losses.candidates import find_positive, hash_pairs
from vujax.losses.memory_bank import Bank, find_nearest
from vujax.utils.mesh import AXIS

N, SLOTS, ROWS, D, FILMS = 16, 2, 24, 5, 6
R = SLOTS * ROWS
SEED = 0xDEADBEEF


class Queries(NamedTuple):
    scene: Any
    group: Any


class Keys(NamedTuple):
    film: Any
    scene: Any


def permitted(query: Queries, key: Keys):
    """Films of a query's group, and not its own scene; nothing in empty entries."""
    same = (query.group[:, None] == key.film % 3) & (query.scene[:, None] != key.scene)
    return same & (key.film >= 0)


def case():
    """Draw queries, some of group 3 that has nothing, and keys, some twice and some empty."""
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 40, (SLOTS, ROWS)).astype(np.int32)
    scene[1, :8] = scene[0, :8]
    film = np.where(scene % 9 == 8, -1, scene % FILMS).astype(np.int32)
    vectors = unit(rng.normal(size=(SLOTS, ROWS, D)))
    ids = Queries(*(rng.integers(0, high, N).astype(np.int32) for high in (40, 4)))
    return unit(rng.normal(size=(N, D))), ids, vectors, Keys(film, scene)


def by_loop(candidates: int) -> np.ndarray:
    """Return the position of each query's positive in the complete bank, or -1."""
    query, ids, vectors, keys = case()
    films, scenes, flat = keys.film.ravel(), keys.scene.ravel(), vectors.reshape(R, D)
    table = permitted(ids, Keys(films, scenes))
    found = np.full(N, -1)
    for i, (scene, row) in enumerate(zip(ids.scene.tolist(), table, strict=True)):
        if candidates == 1:
            found[i] = draws.draw(SEED, scene, row, films, scenes)
            continue
        drawn = draws.draw_several(SEED, scene, row, films, scenes, candidates)
        seen = row & np.isin(scenes, drawn)
        if seen.any():
            found[i] = np.where(seen, flat @ query[i], -np.inf).argmax()
    return found


@pytest.mark.parametrize("candidates", [1, 3])
def test_one_and_eight_devices_choose_what_the_loop_chooses(candidates, mesh1, mesh8):
    _, _, vectors, keys = case()
    places = by_loop(candidates)
    assert (places < 0).any() and (places >= 0).sum() > 8
    for mesh, tile in ((mesh1, 7), (mesh8, 4096)):
        find = functools.partial(
            find_positive,
            candidates=candidates,
            seed=jnp.uint32(SEED),
            permitted=permitted,
            tile=tile,
            axis_name=AXIS,
        )
        found = banks.on_mesh(mesh, find, *case())
        np.testing.assert_array_equal(found.is_found, places >= 0)
        want = np.where((places >= 0)[:, None], vectors.reshape(R, D)[places], 0)
        np.testing.assert_array_equal(found.vector, want)
        scene = np.where(places >= 0, keys.scene.ravel()[places], 0)
        np.testing.assert_array_equal(found.ids.scene, scene)


def flat_case():
    query, ids, vectors, keys = case()
    return jax.tree.map(jnp.asarray, (query, ids, *banks.complete(vectors, keys)))


def test_more_candidates_than_are_permitted_are_all():
    everything = jax.jit(functools.partial(find_nearest, permitted=permitted))(*flat_case())
    found = find(candidates=40)(jnp.uint32(SEED))
    np.testing.assert_array_equal(found.vector, everything.vector)
    np.testing.assert_array_equal(found.ids.scene, everything.ids.scene)
    np.testing.assert_array_equal(find(candidates=0)(jnp.uint32(1)).vector, everything.vector)


def test_candidates_above_the_bank_are_not_drawn_one_by_one():
    trace = str(find(candidates=123457).trace(jnp.uint32(0)).jaxpr)
    assert "123457" not in trace and trace == str(find(candidates=R).trace(jnp.uint32(0)).jaxpr)


def find(candidates: int):
    def run(seed):
        return find_positive(*flat_case(), candidates=candidates, seed=seed, permitted=permitted)

    return jax.jit(run)


def test_one_candidate_needs_no_similarity():
    def count_products(candidates: int) -> int:
        return str(find(candidates).trace(jnp.uint32(0)).jaxpr).count("dot_general")

    assert [count_products(n) for n in (0, 1, 4)] == [1, 0, 1]


def test_films_are_equally_probable_and_then_their_scenes():
    """Film 0 has one scene, film 1 seven: each is drawn by half of the queries and steps."""
    n, steps = 64, 64
    film, position = jnp.array([0] + [1] * 7), jnp.arange(8)
    bank = Bank(jnp.zeros((8, D)), Keys(film, position))
    ids = Queries(np.arange(n, dtype=np.int32), np.zeros(n, np.int32))

    @jax.vmap
    def drawn(seed):
        found = find_positive(
            jnp.zeros((n, D)),
            ids,
            bank,
            position,
            candidates=1,
            seed=seed,
            permitted=lambda query, key: jnp.ones((n, len(key.film)), bool),
        )
        return found.ids.scene

    scene = np.asarray(jax.jit(drawn)(jnp.arange(steps, dtype=jnp.uint32)))
    share = np.bincount(scene.ravel(), minlength=8) / scene.size
    np.testing.assert_allclose(share, [1 / 2] + [1 / 14] * 7, atol=0.03)  # 4 sd of a share of .5
    assert (scene[0] != scene[1]).any() and len(np.unique(scene[0])) > 4
    np.testing.assert_allclose((scene == 0).mean(axis=0), 0.5, atol=0.3)  # for each query
    np.testing.assert_allclose((scene == 0).mean(axis=1), 0.5, atol=0.3)  # at each step


def test_hashes_are_those_of_the_definition():
    rows, columns = np.array([-1, 0, 5, 2**31 - 1], np.int32), np.array([-1, 0, 7], np.int32)
    found = hash_pairs(jnp.uint32(SEED), rows, columns)
    want = [[draws.hash_pair(SEED, int(i), int(j)) for j in columns] for i in rows]
    np.testing.assert_array_equal(found, want)


def test_no_gradient_passes():
    query, ids, bank, position = flat_case()

    def total(query, vectors, candidates):
        found = find_positive(
            query,
            ids,
            Bank(vectors, bank.ids),
            position,
            candidates=candidates,
            seed=jnp.uint32(0),
            permitted=permitted,
        )
        return found.vector.sum()

    for candidates in (1, 2):
        grads = jax.grad(total, argnums=(0, 1))(query, bank.vectors, candidates)
        assert not any(np.any(g) for g in grads)


@pytest.mark.parametrize("wrong", [dict(candidates=-1), dict(tile=0)])
def test_settings_that_cannot_be(wrong):
    given: dict[str, Any] = dict(candidates=1, tile=4) | wrong
    with pytest.raises(ValueError, match=r"candidates must be in \[0, inf\), got -1|tile must be"):
        find_positive(*flat_case(), seed=jnp.uint32(0), permitted=permitted, **given)
