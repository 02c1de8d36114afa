"""InfoNCE against a bank of negatives that is divided among the devices.

The bank is a queue of earlier keys (He et al. 2020, "Momentum Contrast", arXiv:1911.05722) or the
keys of this very batch. Queries travel to the bank, not the bank to the queries: each device
compares all queries with its own part, and sums of exponentials travel back.

The most similar permitted vector of a bank that is divided among the devices.

Queries travel to the bank: each device looks through its own part in tiles, and of all devices'
bests the best travels back. No matrix of all queries and the whole bank is ever held.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

NO_FILM = -1  # of an empty place in a queue, or of a row that fills up


class Ids(NamedTuple):
    """Where vectors come from, so that some pairs are no negatives.

    Attributes:
      film: int32 `[n]`, number of the film, or NO_FILM.
      shot: int32 `[n]`, number of the shot in its film.
      row: int32 `[n]`, 0 or more: vectors of one row of this batch; -1: of an earlier one.
    """

    film: jax.Array
    shot: jax.Array
    row: jax.Array


class Bank(NamedTuple):
    """Vectors `[r d]` float32, unit, and where they come from; one device's part of all.

    `ids` is an `Ids`, or another tree of arrays `[r ...]` that the masks of its caller read.
    """

    vectors: jax.Array
    ids: Any


class ContrastResult(NamedTuple):
    """What a comparison gave.

    Attributes:
      loss: `()`, this device's share; the sum over devices is the global mean.
      right: `[n]` bool: the positive is more similar than every negative.
      positive: `[n]` cosine to the positive.
    """

    loss: jax.Array
    right: jax.Array
    positive: jax.Array


def mask_negatives(query: Ids, bank: Ids, *, radius: int = -1) -> jax.Array:
    """Which of the bank are negatives of which queries: bool `[n r]`.

    All but empty places, those of the query's own row, and shots of its film that are at most
    `radius` shots away; -1 excludes no shot of the film.
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
    """-log(exp(q k / t) / (exp(q k / t) + sum over negatives exp(q b / t))), mean over the rows.

    Args:
      query: unit vectors `[n d]` float32, this device's rows.
      key: unit vectors `[n d]`, the positives.
      ids: of the queries, a tuple of arrays `[n ...]` with a `film`; rows of NO_FILM count for
        nothing.
      bank: this device's part.
      temperature: above 0.
      negatives: `(ids of all queries, bank.ids)` -> bool `[N r]`: which are negatives of which.
      axis_name: mesh axis inside shard_map; None: rows and bank are whole.

    Returns:
      See `Contrast`; gradients reach query, key and bank.

    Raises:
      ValueError: arrays whose shapes do not fit.
    """
    if query.shape != key.shape or bank.vectors.shape[1:] != query.shape[1:]:
        raise ValueError(
            f"contrast: query {query.shape}, key {key.shape} and bank {bank.vectors.shape} must "
            "be [n d], [n d] and [r d]"
        )
    everyone, theirs = gather_rows((query, ids), axis_name)
    similarity = jnp.dot(everyone, bank.vectors.T, precision="highest")  # [N r]
    logits = jnp.where(negatives(theirs, bank.ids), similarity / temperature, -jnp.inf)
    highest = _highest(lax.stop_gradient(logits).max(axis=1, initial=-jnp.inf), axis_name)
    # A query without any negative has the loss 0, and no gradient.
    shift = jnp.where(jnp.isfinite(highest), highest, 0.0)
    total = _mine(jnp.exp(logits - shift[:, None]).sum(axis=1), axis_name)
    shift, highest = slice_own_rows((shift, highest), len(query), axis_name)
    positive = (query * key).sum(axis=1)
    negative = jnp.log(jnp.maximum(total, jnp.finfo(jnp.float32).tiny)) + shift
    counts = (ids.film != NO_FILM).astype(jnp.float32)
    loss = counts * jnp.where(total > 0, jax.nn.softplus(negative - positive / temperature), 0.0)
    rows = counts.sum() if axis_name is None else lax.psum(counts.sum(), axis_name)
    share = loss.sum() / jnp.maximum(rows, 1.0)
    return ContrastResult(share, positive / temperature > highest, positive)


def gather_rows(tree, axis_name: str | None):
    """Rows `[n ...]` of all devices, `[N ...]`, on each of them."""
    if axis_name is None:
        return tree
    return jax.tree.map(lambda x: lax.all_gather(x, axis_name, tiled=True), tree)


def _highest(x: jax.Array, axis_name: str | None) -> jax.Array:
    return x if axis_name is None else lax.pmax(x, axis_name)


def _mine(x: jax.Array, axis_name: str | None) -> jax.Array:
    """Sums over devices `[N] -> [n]` of this device's rows."""
    return x if axis_name is None else lax.psum_scatter(x, axis_name, tiled=True)


def slice_own_rows(tree, n: int, axis_name: str | None):
    """This device's n rows of arrays `[N ...]` that every device has whole."""
    if axis_name is None:
        return tree
    start = lax.axis_index(axis_name) * n
    return jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, start, n), tree)


NOT_FOUND = jnp.iinfo(jnp.int32).max


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
    everyone, theirs = gather_rows((query, ids), axis_name)
    cosine, row = _best(everyone, theirs, bank, permitted, min(tile, len(position)))
    mine = cosine > -jnp.inf
    if axis_name is not None:
        highest = lax.pmax(cosine, axis_name)
        place = jnp.where(mine & (cosine == highest), position[row], NOT_FOUND)
        mine &= (cosine == highest) & (place == lax.pmin(place, axis_name))
        cosine = slice_own_rows(highest, len(query), axis_name)
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
