"""InfoNCE against a memory bank that is sharded over devices, and nearest neighbors in it.

The bank is a queue of earlier keys (He et al. 2020, "Momentum Contrast", arXiv:1911.05722) or the
keys of the current batch. Queries travel to the bank, not the bank to the queries: each device
compares all queries with its own shard, and sums of exponentials, or the best neighbors, travel
back. The search for neighbors goes through a shard in tiles, so that no matrix of all queries and
the complete bank is ever held.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from vujax.losses._checks import check_number, check_tile

NO_FILM = -1  # of an empty slot of a queue, or of a padding row
NOT_FOUND = jnp.iinfo(jnp.int32).max  # position of no entry


class Ids(NamedTuple):
    """Origin of embeddings, by which some pairs are excluded from the negatives.

    Attributes:
      film: int32 `[n]`, number of the film, or NO_FILM.
      shot: int32 `[n]`, number of the shot in its film.
      row: int32 `[n]`, row of the current batch; -1: of an earlier batch.
    """

    film: jax.Array
    shot: jax.Array
    row: jax.Array


class Bank(NamedTuple):
    """Unit-length embeddings `[r d]` float32 with their origins; one device's shard.

    `ids` is an `Ids`, or another tree of arrays `[r ...]` that the masks of its caller read.
    """

    vectors: jax.Array
    ids: Any


class ContrastResult(NamedTuple):
    """Result of `contrast`.

    Attributes:
      loss: `()`, this device's share; the sum over devices is the global mean.
      right: `[n]` bool, True where the positive is more similar than every negative.
      positive: `[n]`, cosine to the positive.
    """

    loss: jax.Array
    right: jax.Array
    positive: jax.Array


def mask_negatives(query: Ids, bank: Ids, *, radius: int = -1) -> jax.Array:
    """Return bool `[n r]`, True where an entry of the bank is a negative of a query.

    Excluded are empty slots, entries of the query's own row, and shots of its film at most `radius`
    shots away; -1 excludes no shot of the film.
    """
    film, shot, row = (q[:, None] for q in query)
    same = film == bank.film
    near = same & (jnp.abs(shot - bank.shot) <= radius)
    return (bank.film != NO_FILM) & (bank.row != row) & ~near


def contrast(
    query: jax.Array,
    key: jax.Array,
    ids: Any,
    bank: Bank,
    *,
    temperature: jax.Array | float,
    negatives: Callable[[Any, Any], jax.Array] = mask_negatives,
    axis_name: str | None = None,
) -> ContrastResult:
    """Compute InfoNCE of queries q and keys k against a bank of negatives b, mean over rows.

    A row's loss is -log(exp(q k / t) / (exp(q k / t) + sum over negatives exp(q b / t))).

    Args:
      query: unit-length embeddings `[n d]` float32, this device's rows.
      key: unit-length embeddings `[n d]`, the positives.
      ids: of the queries, a tuple of arrays `[n ...]` with a `film`; rows of NO_FILM are ignored.
      bank: this device's shard.
      temperature: above 0.
      negatives: `(ids of all queries, bank.ids)` -> bool `[N r]`, True for negatives.
      axis_name: mesh axis inside shard_map; None: rows and bank are not sharded.

    Returns:
      See `Contrast`; gradients reach query, key and bank.

    Raises:
      ValueError: the shapes of the arrays do not match.
    """
    if query.shape != key.shape or bank.vectors.shape[1:] != query.shape[1:]:
        raise ValueError(
            f"contrast: query {query.shape}, key {key.shape} and bank {bank.vectors.shape} must "
            "be [n d], [n d] and [r d]"
        )
    check_number("contrast", "temperature", temperature, "(0, inf)")
    queries, query_ids = gather_rows((query, ids), axis_name)
    similarity = jnp.dot(queries, bank.vectors.T, precision="highest")  # [N r]
    logits = jnp.where(negatives(query_ids, bank.ids), similarity / temperature, -jnp.inf)
    highest = _max_over_devices(lax.stop_gradient(logits).max(axis=1, initial=-jnp.inf), axis_name)
    # A query without negatives has loss 0 and no gradient.
    shift = jnp.where(jnp.isfinite(highest), highest, 0.0)
    total = _sum_own_rows(jnp.exp(logits - shift[:, None]).sum(axis=1), axis_name)
    shift, highest = slice_own_rows((shift, highest), len(query), axis_name)
    positive = (query * key).sum(axis=1)
    negative = jnp.log(jnp.maximum(total, jnp.finfo(jnp.float32).tiny)) + shift
    counts = (ids.film != NO_FILM).astype(jnp.float32)
    loss = counts * jnp.where(total > 0, jax.nn.softplus(negative - positive / temperature), 0.0)
    rows = counts.sum() if axis_name is None else lax.psum(counts.sum(), axis_name)
    share = loss.sum() / jnp.maximum(rows, 1.0)
    return ContrastResult(share, positive / temperature > highest, positive)


def gather_rows(tree: Any, axis_name: str | None) -> Any:
    """Gather rows `[n ...]` of all devices, `[N ...]`, on each of them."""
    if axis_name is None:
        return tree
    return jax.tree.map(lambda x: lax.all_gather(x, axis_name, tiled=True), tree)


def _max_over_devices(x: jax.Array, axis_name: str | None) -> jax.Array:
    return x if axis_name is None else lax.pmax(x, axis_name)


def _sum_own_rows(x: jax.Array, axis_name: str | None) -> jax.Array:
    """Sum over devices, `[N] -> [n]`, for this device's rows."""
    return x if axis_name is None else lax.psum_scatter(x, axis_name, tiled=True)


def slice_own_rows(tree: Any, n: int, axis_name: str | None) -> Any:
    """Return this device's n rows of replicated arrays `[N ...]`."""
    if axis_name is None:
        return tree
    start = lax.axis_index(axis_name) * n
    return jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, start, n), tree)


class Nearest(NamedTuple):
    """Nearest permitted entry of the bank for each query.

    Attributes:
      vector: `[n d]`, the entry's embedding; 0 where no entry is permitted.
      cosine: `[n]`, to it; -inf where no entry is permitted.
      ids: the entry's ids, a tree of `[n ...]`; 0 where no entry is permitted.
    """

    vector: jax.Array
    cosine: jax.Array
    ids: Any

    @property
    def is_found(self) -> jax.Array:
        """Bool `[n]`, True where any entry is permitted."""
        return self.cosine > -jnp.inf


def find_nearest(
    query: jax.Array,
    ids: Any,
    bank: Bank,
    position: jax.Array,
    *,
    permitted: Callable[[Any, Any], jax.Array],
    tile: int = 4096,
    axis_name: str | None = None,
) -> Nearest:
    """Find the permitted entry b of the bank with the greatest q b, for each query q.

    Args:
      query: unit-length embeddings `[n d]` float32, this device's rows.
      ids: of the queries, a tree of arrays `[n ...]`.
      bank: this device's shard, `[r d]`; its ids are a tree of arrays `[r ...]`.
      position: int32 `[r]`, from 0 on, of each entry in the complete bank, in increasing order: of
        equally similar entries, the first is returned.
      permitted: `(ids of all queries, ids of a tile)` -> bool `[N t]`, True for candidates.
      tile: entries of the bank per step.
      axis_name: mesh axis inside shard_map; None: queries and bank are not sharded.

    Returns:
      See `Nearest`; no gradient flows.

    Raises:
      ValueError: the shapes do not match, or the tile is empty.
    """
    if bank.vectors.shape[1:] != query.shape[1:] or position.shape != bank.vectors.shape[:1]:
        raise ValueError(
            f"find_nearest: query {query.shape}, bank {bank.vectors.shape} and position "
            f"{position.shape} must be [n d], [r d] and [r]"
        )
    check_tile("find_nearest", tile)
    query, bank = lax.stop_gradient((query, bank))
    queries, query_ids = gather_rows((query, ids), axis_name)
    cosine, row = _search_shard(queries, query_ids, bank, permitted, min(tile, len(position)))
    mine = cosine > -jnp.inf
    if axis_name is not None:
        highest = lax.pmax(cosine, axis_name)
        place = jnp.where(mine & (cosine == highest), position[row], NOT_FOUND)
        mine &= (cosine == highest) & (place == lax.pmin(place, axis_name))
        cosine = slice_own_rows(highest, len(query), axis_name)
    nearest = jax.tree.map(lambda x: send_rows(x[row], mine, axis_name), bank)
    return Nearest(nearest.vectors, cosine, nearest.ids)


def _search_shard(
    query: jax.Array, ids: Any, bank: Bank, permitted: Callable[[Any, Any], jax.Array], tile: int
) -> tuple[jax.Array, jax.Array]:
    """Return cosines `[N]` and rows int32 `[N]` of the nearest entries of this shard."""

    def search_tile(start: jax.Array, part: Bank) -> tuple[jax.Array, jax.Array]:
        cosine = jnp.dot(query, part.vectors.T, precision="highest")
        cosine = jnp.where(permitted(ids, part.ids), cosine, -jnp.inf)
        return cosine.max(axis=1), start + cosine.argmax(axis=1).astype(jnp.int32)

    cosines, places = map_tiles(search_tile, bank, tile)
    first = cosines.argmax(axis=0)[None]
    return tuple(jnp.take_along_axis(x, first, axis=0)[0] for x in (cosines, places))


def map_tiles(function: Callable[[jax.Array, Any], Any], tree: Any, tile: int) -> Any:
    """Apply a function to tiles of `tile` rows of arrays `[r ...]`, one after the other.

    Args:
      function: `(start, tile)` -> tree, with the number of the tile's first row, int32.
      tree: arrays of as many rows, at least `tile`.
      tile: rows of a tile. The last one starts early instead of passing the end: results must not
        change where rows come twice.

    Returns:
      The results, stacked, `[tiles ...]`.
    """
    rows = len(jax.tree.leaves(tree)[0])
    starts = jnp.minimum(jnp.arange(-(-rows // tile)) * tile, rows - tile)

    def apply(start: jax.Array) -> Any:
        part = jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, start, tile), tree)
        return function(start, part)

    return lax.map(apply, starts.astype(jnp.int32))


def is_listed(lists: jax.Array, number: jax.Array) -> jax.Array:
    """Return bool `[n r]`: a number of `[r]` is in a list of `[n k]`, column by column."""
    columns = (lists[:, i, None] == number for i in range(lists.shape[1]))
    return functools.reduce(jnp.logical_or, columns)


def send_rows(x: jax.Array, mine: jax.Array, axis_name: str | None) -> jax.Array:
    """Send rows `[N ...]`, of which `mine` are from this device, to their queries `[n ...]`."""
    own = jnp.where(jnp.expand_dims(mine, tuple(range(1, x.ndim))), x, 0)
    return own if axis_name is None else lax.psum_scatter(own, axis_name, tiled=True)
