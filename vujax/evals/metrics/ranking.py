"""Ranks of the right answers, in chunks over the mesh.

No full score matrix exists. Zero-shot classification and retrieval are the same count: for each
query, how many wrong items score above its best right item, and how many tie with it. Everything
else follows from these.

Ties. Scores that differ by no more than `TIE` are tied, and tied items count as if they were put in
random order: the expected value is reported. So a model that gives everything the same embedding
scores exactly as the random baseline, and neither the order of the data set nor float rounding can
favor a model.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from vujax.evals.features import place, place_rows
from vujax.utils.mesh import AXIS, replicated_sharding

TIE = 1e-6

"""Rounding of a float32 dot product of unit vectors, about 1e-7 a few times over."""

TILE_ELEMENTS = 2**22

"""Scores that one device holds at once: 16 MiB of float32."""

NO_KEY = -1

"""Padding of a gallery item's or a query's keys; it matches nothing."""


class Ranks(NamedTuple):
    """Counts per query, each `[q]` int64.

    Attributes:
      above: wrong items that score above the best right one.
      tied: wrong items that tie with the best right one.
      tied_right: right items at that score, the best one included: at least 1.
      wrong: wrong items in all.
      right: right items in all.
    """

    above: np.ndarray
    tied: np.ndarray
    tied_right: np.ndarray
    wrong: np.ndarray
    right: np.ndarray

    def hits_at(self, k: int) -> np.ndarray:
        """Return `[q]`: the probability that a right item is among the first `k`.

        Ties are in random order.
        """
        places = np.clip(k - self.above, 0, None)  # of the tied block
        miss = np.ones(len(self.above))
        for drawn in range(k):
            wrong_left = np.clip(self.tied - drawn, 0, None)
            left = np.clip(self.tied + self.tied_right - drawn, 1, None)
            miss *= np.where(drawn < places, wrong_left / left, 1.0)
        return 1.0 - miss

    def expected_rank(self) -> np.ndarray:
        """Return `[q]`: the expected rank, from 1, of the first right item.

        Ties are in random order.
        """
        return self.above + 1 + self.tied / (self.tied_right + 1)

    def random_baseline(self) -> "Ranks":
        """Return the ranks of the same queries when every score is equal."""
        return self._replace(above=0 * self.above, tied=self.wrong, tied_right=self.right)


class Relation(NamedTuple):
    """The right answers: a query and an item that share a key.

    Attributes:
      query_keys: `[q a]` int32; `NO_KEY` fills a row up.
      gallery_keys: `[g b]` int32.
      all_copies: an item that shares a key is right with all its copies; otherwise with as many
        copies as keys are shared, and its other copies are wrong.
    """

    query_keys: np.ndarray
    gallery_keys: np.ndarray
    all_copies: bool = True


def rank_items(
    queries: np.ndarray,
    gallery: np.ndarray,
    relations: Sequence[Relation],
    *,
    mesh: Mesh,
    copies: np.ndarray | None = None,
) -> list[Ranks]:
    """Rank each query's right items, for one or several relations.

    Args:
      queries: `[q d]` unit vectors.
      gallery: `[g d]` unit vectors.
      relations: the right answers; all are counted on the same scores.
      mesh: queries are divided along 'data'; the gallery is on every device.
      copies: `[g]`, the multiplicity of each item in the gallery (default: 1). Equal items are
        scored once and counted `copies` times, so rounding cannot separate them.

    Returns:
      Counts per query for each relation, equal on all hosts.

    Raises:
      ValueError: a query has no right item.
    """
    copies = np.ones(len(gallery), np.int32) if copies is None else copies
    tile = max(1, min(len(queries), TILE_ELEMENTS // len(gallery)))
    everywhere = replicated_sharding(mesh)
    counted = _rank_rows(mesh, tile, tuple(relation.all_copies for relation in relations))(
        place_rows(np.float32(queries), mesh),
        [place_rows(np.int32(r.query_keys), mesh, fill=NO_KEY) for r in relations],
        place(np.float32(gallery), everywhere),
        [place(np.int32(r.gallery_keys), everywhere) for r in relations],
        place(np.int32(copies), everywhere),
    )
    return [_ranks(counts, len(queries), int(copies.sum())) for counts in counted]


def _ranks(counts: Sequence[jax.Array], queries: int, items: int) -> Ranks:
    above, tied, tied_right, right = (np.asarray(c, np.int64)[:queries] for c in counts)
    if not right.all():
        raise ValueError(f"{(right == 0).sum()} of {queries} queries have no right answer")
    return Ranks(above, tied, tied_right, items - right, right)


@functools.lru_cache(maxsize=64)
def _rank_rows(mesh: Mesh, tile: int, all_copies: tuple[bool, ...]) -> Callable[..., list]:
    def rows(queries, query_keys, gallery, gallery_keys, copies):
        def one(row):
            query, keys = row
            scores = jnp.matmul(gallery, query, precision=lax.Precision.HIGHEST)
            each = zip(keys, gallery_keys, all_copies, strict=True)
            return [_count(scores, _right(q, g, copies, every), copies) for q, g, every in each]

        return lax.map(one, (queries, query_keys), batch_size=tile)

    divided = (P(AXIS), P(AXIS), P(), P(), P())
    shard = jax.shard_map(rows, mesh=mesh, in_specs=divided, out_specs=P(AXIS), check_vma=True)
    return jax.jit(shard, out_shardings=replicated_sharding(mesh))


def _right(
    keys: jax.Array, gallery_keys: jax.Array, copies: jax.Array, all_copies: bool
) -> jax.Array:
    """Return the right copies of each item for a query of `keys` `[a]`: int32 `[g]`."""
    pairs = itertools.product(keys, gallery_keys.T)  # unrolled: what follows stays one loop
    shared = sum(((q == g) & (g != NO_KEY)).astype(jnp.int32) for q, g in pairs)
    return jnp.where(shared > 0, copies, 0) if all_copies else shared


def _count(scores: jax.Array, right: jax.Array, copies: jax.Array) -> tuple[jax.Array, ...]:
    best = jnp.max(jnp.where(right > 0, scores, -jnp.inf))
    above, tied = scores > best + TIE, jnp.abs(scores - best) <= TIE
    wrong = copies - right
    counts = (above * wrong, tied * wrong, tied * right, right)
    # One reduction of four arrays reads the scores once: four sums took half as long again.
    return lax.reduce(counts, (np.int32(0),) * 4, lambda a, b: tuple(map(jnp.add, a, b)), (0,))


def find_nearest(
    queries: np.ndarray, gallery: np.ndarray, k: int, *, mesh: Mesh
) -> tuple[np.ndarray, np.ndarray]:
    """Return the `k` items of largest dot product: scores `[q k]` and indices `[q k]`.

    Best first; equal scores come in the gallery's order. Chunked and divided over `mesh` like
    `rank_items`.
    """
    k = min(k, len(gallery))
    tile = max(1, min(len(queries), TILE_ELEMENTS // len(gallery)))
    found = _nearest_rows(mesh, tile, k)(
        place_rows(np.float32(queries), mesh), place(np.float32(gallery), replicated_sharding(mesh))
    )
    scores, indices = (np.asarray(x)[: len(queries)] for x in found)
    return scores, indices


@functools.lru_cache(maxsize=64)
def _nearest_rows(mesh: Mesh, tile: int, k: int) -> Callable[..., tuple[jax.Array, jax.Array]]:
    def rows(queries, gallery):
        def one(query):
            return lax.top_k(jnp.matmul(gallery, query, precision=lax.Precision.HIGHEST), k)

        return lax.map(one, queries, batch_size=tile)

    shard = jax.shard_map(
        rows, mesh=mesh, in_specs=(P(AXIS), P()), out_specs=P(AXIS), check_vma=True
    )
    return jax.jit(shard, out_shardings=replicated_sharding(mesh))
