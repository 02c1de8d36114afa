"""Positives among a few random entries of a memory bank, drawn by hashes.

A search for the most similar entry among all permitted ones says again what the embeddings say
already, the more so the more entries it sees. Here it sees `candidates` of them: each is drawn
without replacement, first a film among those with permitted entries, all equally probable however
many scenes they have, then one of its scenes. With one candidate no similarity is computed.

A draw is the entry with the least hash of (seed, query's scene, film), then of (seed, query's
scene, entry's scene). So it depends neither on the tiles nor on the devices, and nothing but these
minima travels. Entries of one scene, of several epochs, count as one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from vujax.losses._checks import check_number, check_tile
from vujax.losses.memory_bank import (
    NOT_FOUND,
    Bank,
    find_nearest,
    gather_rows,
    is_listed,
    map_tiles,
    send_rows,
    slice_own_rows,
)

NO_SCENE = -1  # in place of a draw from nothing
GOLDEN = 0x9E3779B9  # 2^32 / golden ratio: streams of a seed are far apart

Permitted = Callable[[Any, Any], jax.Array]


class Positive(NamedTuple):
    """Entry of the bank that was selected for each query.

    Attributes:
      vector: `[n d]`, the entry's embedding; 0 where no entry is permitted.
      is_found: bool `[n]`, True where any entry is permitted.
      ids: the entry's ids, a tree of `[n ...]`; 0 where no entry is permitted.
    """

    vector: jax.Array
    is_found: jax.Array
    ids: Any


class Draw(NamedTuple):
    """Entry that was drawn for each query, as one device knows it.

    Attributes:
      row: int32 `[N]`, the entry's row in this device's shard, where `is_mine`.
      is_mine: bool `[N]`, the entry is in this device's shard.
    """

    row: jax.Array
    is_mine: jax.Array


def find_positive(
    query: jax.Array,
    ids: Any,
    bank: Bank,
    position: jax.Array,
    *,
    candidates: int,
    seed: jax.Array,
    permitted: Permitted,
    tile: int = 4096,
    axis_name: str | None = None,
) -> Positive:
    """Find the most similar of some permitted entries of the bank, for each query.

    Args:
      query: unit-length embeddings `[n d]` float32, this device's rows.
      ids: of the queries, a tuple of arrays `[n ...]` with a `scene`.
      bank: this device's shard, `[r d]`; its ids have a `film` and a `scene`, int32 `[r]`.
      position: see `vujax.losses.memory_bank.find_nearest`.
      candidates: number of scenes that are drawn; 0: all. Where fewer are permitted, all of them.
      seed: uint32 `()`, another one at each step, the same on every device.
      permitted: `(ids of all queries, ids of a tile)` -> bool `[N t]`, True for candidates.
      tile: entries of the bank per step.
      axis_name: mesh axis inside shard_map; None: queries and bank are not sharded.

    Returns:
      See `Positive`; no gradient flows. Time grows with the number of candidates, memory does not.

    Raises:
      ValueError: the shapes do not match, the tile is empty, or `candidates` is negative.
    """
    check_number("find_positive", "candidates", candidates, "[0, inf)")
    check_tile("find_positive", tile)
    queries = gather_rows(ids, axis_name)
    is_permitted = lambda key: permitted(queries, key)  # noqa: E731
    sizes: Any = dict(tile=min(tile, len(position)), axis_name=axis_name)
    devices = 1 if axis_name is None else lax.psum(1, axis_name)
    if candidates >= devices * len(position):  # all entries, without a draw for each
        candidates = 0
    if candidates == 1:
        draw = draw_entry(queries.scene, is_permitted, bank.ids, position, seed=seed, **sizes)
        return lax.stop_gradient(_take_entry(bank, draw, axis_name))
    if candidates:
        drawn = draw_scenes(
            queries.scene, is_permitted, bank.ids, position, count=candidates, seed=seed, **sizes
        )
        ids = ids, slice_own_rows(drawn, len(query), axis_name)
    nearest = find_nearest(
        query,
        ids,
        bank,
        position,
        permitted=_restrict_to_drawn(permitted) if candidates else permitted,
        **sizes,
    )
    return Positive(nearest.vector, nearest.is_found, nearest.ids)


def _restrict_to_drawn(permitted: Permitted) -> Permitted:
    """Return `permitted` of queries with the scenes that were drawn for them, `(ids, [N c])`."""

    def is_drawn(query: tuple[Any, jax.Array], key: Any) -> jax.Array:
        ids, drawn = query
        return permitted(ids, key) & is_listed(drawn, key.scene)

    return is_drawn


def _take_entry(bank: Bank, draw: Draw, axis_name: str | None) -> Positive:
    """Send the drawn entries to their queries."""
    one = jnp.ones_like(draw.row)
    found, count = jax.tree.map(
        lambda x: send_rows(x, draw.is_mine, axis_name),
        (jax.tree.map(lambda x: x[draw.row], bank), one),
    )
    return Positive(found.vectors, count > 0, found.ids)


def draw_scenes(
    scene: jax.Array,
    is_permitted: Callable[[Any], jax.Array],
    bank_ids: Any,
    position: jax.Array,
    *,
    count: int,
    seed: jax.Array,
    tile: int,
    axis_name: str | None,
) -> jax.Array:
    """Draw different scenes for each query, one after the other; see `draw_entry`.

    Returns:
      int32 `[N count]`, numbers of scenes, NO_SCENE where fewer are permitted.
    """

    def add_scene(slot: jax.Array, drawn: jax.Array) -> jax.Array:
        draw = draw_entry(
            scene,
            lambda key: is_permitted(key) & ~is_listed(drawn, key.scene),
            bank_ids,
            position,
            seed=_mix(seed + (slot.astype(jnp.uint32) + 1) * jnp.uint32(GOLDEN)),
            tile=tile,
            axis_name=axis_name,
        )
        found = jnp.where(draw.is_mine, bank_ids.scene[draw.row] - NO_SCENE, 0)
        found = found if axis_name is None else lax.psum(found, axis_name)
        return drawn.at[:, slot].set(found + NO_SCENE)

    nothing = jnp.full((len(scene), count), NO_SCENE, jnp.int32)
    return lax.fori_loop(0, count, add_scene, nothing)


def draw_entry(
    scene: jax.Array,
    is_permitted: Callable[[Any], jax.Array],
    bank_ids: Any,
    position: jax.Array,
    *,
    seed: jax.Array,
    tile: int,
    axis_name: str | None,
) -> Draw:
    """Draw a permitted entry for each query of all devices: a film, then one of its scenes.

    Args:
      scene: int32 `[N]`, number of each query's scene.
      is_permitted: `ids of a tile` -> bool `[N t]`.
      bank_ids: of this device's shard, see `find_positive`.
      position: see `find_positive`; of several entries of a scene, the first is drawn.
      seed: see `find_positive`.
      tile: see `find_positive`, at most the shard.
      axis_name: see `find_positive`.
    """
    film, entry, row = _search_shard(scene, is_permitted, bank_ids, seed, tile)
    if axis_name is None:
        return Draw(row, film < NOT_FOUND)
    is_mine = (film < NOT_FOUND) & (film == lax.pmin(film, axis_name))
    entry = jnp.where(is_mine, entry, NOT_FOUND)
    is_mine &= entry == lax.pmin(entry, axis_name)
    place = jnp.where(is_mine, position[row], NOT_FOUND)
    return Draw(row, is_mine & (place == lax.pmin(place, axis_name)))


def _search_shard(
    scene: jax.Array,
    is_permitted: Callable[[Any], jax.Array],
    bank_ids: Any,
    seed: jax.Array,
    tile: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the least hashes `[N]` of film and of scene in this shard, and the entry's row."""

    def search_tile(start: jax.Array, key: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        film = hash_pairs(seed, scene, key.film)
        film = jnp.where(is_permitted(key), film, NOT_FOUND)
        least = film.min(axis=1)
        is_least = (film == least[:, None]) & (film < NOT_FOUND)
        entry = hash_pairs(_mix(seed + jnp.uint32(1)), scene, key.scene)
        entry = jnp.where(is_least, entry, NOT_FOUND)
        return least, entry.min(axis=1), start + entry.argmin(axis=1).astype(jnp.int32)

    film, entry, row = map_tiles(search_tile, bank_ids, tile)
    least = film.min(axis=0)
    entry = jnp.where(film == least, entry, NOT_FOUND)
    first = entry.argmin(axis=0)[None]
    return least, entry.min(axis=0), jnp.take_along_axis(row, first, axis=0)[0]


def hash_pairs(seed: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Hash pairs of numbers.

    Args:
      seed: uint32 `()`.
      rows: int32 `[n]`.
      columns: int32 `[t]`.

    Returns:
      int32 `[n t]`, from 0 to below 2^30: below NOT_FOUND.
    """
    row, column = (_mix(x.astype(jnp.uint32) + jnp.uint32(GOLDEN)) for x in (rows, columns))
    row = _mix(row ^ seed)
    return (_mix(row[:, None] ^ column) >> 2).astype(jnp.int32)


def _mix(x: jax.Array) -> jax.Array:
    """Mix the bits of uint32 numbers, one to one (Appleby's MurmurHash3, public domain)."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
