"""The most similar permitted vector of a bank that is divided among the devices.

Queries travel to the bank: each device looks through its own part in tiles, and of all devices'
bests the best travels back. No matrix of all queries and the whole bank is ever held.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from vujax.losses.contrast import Bank, gather, own

NOWHERE = jnp.iinfo(jnp.int32).max


class Nearest(NamedTuple):
    """What was found for each query.

    Attributes:
      vector: `[n d]`, of the bank; 0 where there is none.
      cosine: `[n]`, to it; -inf where there is none.
      ids: the bank's ids of it, a tree of `[n ...]`; 0 where there is none.
    """

    vector: jax.Array
    cosine: jax.Array
    ids: Any

    @property
    def there(self) -> jax.Array:
        """Bool `[n]`: whether anything was permitted."""
        return self.cosine > -jnp.inf


def nearest(
    query: jax.Array,
    ids: Any,
    bank: Bank,
    position: jax.Array,
    *,
    permitted: Callable[[Any, Any], jax.Array],
    tile: int = 4096,
    axis_name: str | None = None,
) -> Nearest:
    """The permitted vector b of the bank with the greatest q b, for each query q.

    Args:
      query: unit vectors `[n d]` float32, this device's rows.
      ids: of the queries, a tree of arrays `[n ...]`.
      bank: this device's part, `[r d]`; its ids are a tree of arrays `[r ...]`.
      position: int32 `[r]`, from 0 on, where each vector stands in the whole bank, in increasing
        order: of vectors that are equally similar, the first one is taken.
      permitted: `(ids of all queries, ids of a tile)` -> bool `[N t]`: which may be found.
      tile: vectors of the bank that are looked at at once.
      axis_name: mesh axis inside shard_map; None: queries and bank are whole.

    Returns:
      See `Nearest`; no gradient passes.

    Raises:
      ValueError: the shapes do not fit, or the tile is empty.
    """
    if bank.vectors.shape[1:] != query.shape[1:] or position.shape != bank.vectors.shape[:1]:
        raise ValueError(
            f"nearest: query {query.shape}, bank {bank.vectors.shape} and position "
            f"{position.shape} must be [n d], [r d] and [r]"
        )
    if tile < 1:
        raise ValueError(f"nearest: a tile of {tile} vectors is empty")
    query, bank = lax.stop_gradient((query, bank))
    everyone, theirs = gather((query, ids), axis_name)
    cosine, row = _best(everyone, theirs, bank, permitted, min(tile, len(position)))
    mine = cosine > -jnp.inf
    if axis_name is not None:
        highest = lax.pmax(cosine, axis_name)
        place = jnp.where(mine & (cosine == highest), position[row], NOWHERE)
        mine &= (cosine == highest) & (place == lax.pmin(place, axis_name))
        cosine = own(highest, len(query), axis_name)
    found = jax.tree.map(lambda x: _sent(x[row], mine, axis_name), bank)
    return Nearest(found.vectors, cosine, found.ids)


def _best(
    query: jax.Array, ids: Any, bank: Bank, permitted: Callable[[Any, Any], jax.Array], tile: int
) -> tuple[jax.Array, jax.Array]:
    """Cosines `[N]` and rows int32 `[N]` of the best of this part of the bank."""
    rows = len(bank.vectors)
    # The last tile reaches back instead of past the end: rows that are seen twice change nothing.
    starts = jnp.minimum(jnp.arange(-(-rows // tile)) * tile, rows - tile)

    def look(start: jax.Array) -> tuple[jax.Array, jax.Array]:
        part = jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, start, tile), bank)
        cosine = jnp.dot(query, part.vectors.T, precision="highest")
        cosine = jnp.where(permitted(ids, part.ids), cosine, -jnp.inf)
        return cosine.max(axis=1), start + cosine.argmax(axis=1).astype(jnp.int32)

    cosines, places = lax.map(look, starts.astype(jnp.int32))
    first = cosines.argmax(axis=0)[None]
    return tuple(jnp.take_along_axis(x, first, axis=0)[0] for x in (cosines, places))


def _sent(x: jax.Array, mine: jax.Array, axis_name: str | None) -> jax.Array:
    """Rows `[N ...]`, of which those that are not `mine` are another device's -> `[n ...]`."""
    kept = jnp.where(mine.reshape(-1, *[1] * (x.ndim - 1)), x, 0)
    return kept if axis_name is None else lax.psum_scatter(kept, axis_name, tiled=True)
