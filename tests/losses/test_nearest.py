"""Nearest permitted neighbors against a loop over pairs."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses import banks
from tests.losses.cases import unit
from vujax.losses.memory_bank import Bank, find_nearest
from vujax.utils.mesh import AXIS

N, SLOTS, ROWS, D = 16, 3, 24, 5
R = SLOTS * ROWS


class Colour(NamedTuple):
    film: np.ndarray


def permitted(query: Colour, key: Colour):
    return query.film[:, None] == key.film


def case():
    """Draw `(query, ids, vectors [slots rows d], keys [slots rows])`; film 4 has no key."""
    rng = np.random.default_rng(0)
    query = unit(rng.normal(size=(N, D)))
    vectors = unit(rng.normal(size=(SLOTS, ROWS, D)))
    film = rng.integers(0, 4, (SLOTS, ROWS)).astype(np.int32)
    vectors[1:, :6], film[1:, :6] = vectors[0, :6], film[0, :6]  # the same three times
    vectors[0, 6:12], film[0, 6:12] = vectors[0, :6], film[0, :6]
    mine = rng.integers(0, 5, N).astype(np.int32)
    return query, Colour(mine), vectors, Colour(film)


def by_loop():
    """Return `(position in the complete bank or -1, cosine)` of each query."""
    query, ids, vectors, keys = case()
    flat, films = vectors.reshape(R, D), keys.film.reshape(R)
    found = []
    for vector, mine in zip(query, ids.film, strict=True):
        best = (-1, -np.inf)
        for place in range(R):
            cosine = np.float32(vector @ flat[place])
            if films[place] == mine and cosine > best[1] + 1e-6:
                best = (place, cosine)
        found.append(best)
    places, cosines = zip(*found, strict=True)
    return np.array(places), np.array(cosines)


@pytest.mark.parametrize("tile", [7, 4096])
def test_one_and_eight_devices_find_what_the_loop_finds(tile, mesh1, mesh8):
    _, _, vectors, keys = case()
    places, cosines = by_loop()
    assert (places < 0).any() and (places >= 0).sum() > 8
    for mesh in (mesh1, mesh8):
        find = functools.partial(find_nearest, permitted=permitted, tile=tile, axis_name=AXIS)
        found = banks.on_mesh(mesh, find, *case())
        np.testing.assert_array_equal(found.is_found, places >= 0)
        np.testing.assert_allclose(found.cosine, cosines, rtol=1e-5)
        want = np.where((places >= 0)[:, None], vectors.reshape(R, D)[places], 0)
        np.testing.assert_array_equal(found.vector, want)
        film = np.where(places >= 0, keys.film.ravel()[places], 0)
        np.testing.assert_array_equal(found.ids.film, film)


@pytest.mark.parametrize("tile", [1, 5, 72])
def test_the_first_of_equal_ones_whatever_the_tiles(tile):
    query, ids, vectors, _ = case()
    same = np.tile(vectors[0, :1], (R, 1))
    number = Colour(np.arange(R, dtype=np.int32))
    everything = lambda query, key: jnp.ones((N, len(key.film)), bool)  # noqa: E731
    find = functools.partial(find_nearest, permitted=everything, tile=tile)
    found = jax.jit(find)(query, ids, Bank(same, number), np.arange(R, dtype=np.int32))
    assert not found.ids.film.any()


def test_no_gradient_passes():
    query, ids, *rows = case()
    bank, places = banks.complete(*rows)

    def total(query, vectors):
        return find_nearest(
            query, ids, Bank(vectors, bank.ids), places, permitted=permitted
        ).vector.sum()

    grads = jax.grad(total, argnums=(0, 1))(query, bank.vectors)
    assert not any(np.any(g) for g in grads)


def test_shapes_that_do_not_fit():
    query, ids, *rows = case()
    bank, places = banks.complete(*rows)
    with pytest.raises(ValueError, match=r"query \(16, 5\), bank \(72, 5\) and position \(71,\)"):
        find_nearest(query, ids, bank, places[:-1], permitted=permitted)
    with pytest.raises(ValueError, match="tile must be a whole number of at least 1, got 0"):
        find_nearest(query, ids, bank, places, permitted=permitted, tile=0)
