"""Passes over all pairs of tiles of an N x N similarity matrix that is never stored.

The rows of a device are divided into tiles. A pass visits pairs of tiles (I, J); a visit computes
the similarities of I's rows to J's, uses them and drops them, as FlashAttention does (Dao et al.
2022, arXiv:2205.14135). A pass accumulates per row (`[n]` sums, `[n d]` gradients), so temporaries
are O(N d).

On one device a visit serves both tiles, so each pair I < J is visited once and every similarity is
computed once per pass. Under an axis each device visits its own rows against the gathered rows of
all, and changes only the state of its own: no gradient is sent.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Tree = Any
Pair = tuple[jax.Array, jax.Array]  # of the images' side and of the texts' side

HIDDEN = -1e30  # logit of a masked pair; finite, so that 0 * HIDDEN is 0
# visit(rows of I, rows of J, hidden, state of I, state of J or None) -> the two states.
# hidden: bool [I J], masked pairs (a row with itself, padding), or None for no pair.
Visit = Callable[[Tree, Tree, jax.Array | None, Tree, Tree], tuple[Tree, Tree]]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Division of a device's rows into tiles.

    Attributes:
      n: rows of this device.
      axis_name: mesh axis over which the rows are sharded, or None.
      devices: number of devices on that axis.
      tile: rows per tile.
      tiles: tiles per device; the last may end in padding.
      group: gathered tiles that a tile is visited against at a time.
    """

    n: int
    axis_name: str | None
    devices: int
    tile: int
    tiles: int
    group: int

    @property
    def padded(self) -> int:
        """Rows of a device, padding included."""
        return self.tile * self.tiles


def choose_layout(
    shape: tuple[int, int], axis_name: str | None, max_tile: int | None = None
) -> Layout:
    """Divide rows into equal tiles with as little padding as possible.

    Args:
      shape: `(n, d)`, this device's rows and the dimension of an embedding.
      axis_name: mesh axis over which the rows are sharded, or None.
      max_tile: maximum rows in a tile. The default is the power of two at or under sqrt(N d) / 2,
        at least 256: a tile then has at most a quarter of the entries of one [N d] array. On an
        accelerator that is long enough to be bound by arithmetic (2,048 for N = 65,536, d = 768);
        on a CPU it fits the last cache and any size from 512 to 2,048 is equally fast.
    """
    n, d = shape
    devices = 1 if axis_name is None else lax.axis_size(axis_name)
    max_tile = max_tile or max(256, 2 ** int(math.log2(math.sqrt(n * devices * d) / 2 + 1)))
    tiles = max(1, -(-n // max_tile))
    tile = -(-n // tiles)
    fits = (m for m in range(devices * tiles, 0, -1) if devices * tiles % m == 0)
    group = next((m for m in fits if m * tile <= max_tile), 1)
    return Layout(n, axis_name, devices, tile, tiles, group)


def pad(cut: Layout, tree: Tree) -> Tree:
    """Append rows of zeros up to complete tiles, for every leaf `[n ...]`."""
    short = cut.padded - cut.n
    if not short:
        return tree
    return jax.tree.map(lambda x: jnp.pad(x, [(0, short)] + [(0, 0)] * (x.ndim - 1)), tree)


def gather(cut: Layout, tree: Tree) -> Tree:
    """Gather the padded rows of all devices; leaves `[padded]` travel in one message."""
    if cut.devices == 1:
        return tree
    leaves, structure = jax.tree.flatten(tree)
    vectors = [x for x in leaves if x.ndim == 1]
    gathered_vectors = iter(())
    if vectors:
        gathered_vectors = iter(
            lax.all_gather(jnp.stack(vectors), cut.axis_name, axis=1, tiled=True)
        )
    gathered = [
        next(gathered_vectors) if x.ndim == 1 else lax.all_gather(x, cut.axis_name, tiled=True)
        for x in leaves
    ]
    return jax.tree.unflatten(structure, gathered)


def cast_varying(cut: Layout, x: jax.Array | float, dtype: jnp.dtype) -> jax.Array:
    """Return `x` typed as varying over devices, so that its gradient is a share like the loss."""
    x = jnp.asarray(x, dtype)
    if cut.axis_name is None:
        return x
    # A sum takes the type of its varying part, whether x varies already or not (jax 0.10 has no
    # public test for it).
    return x + lax.pcast(jnp.zeros((), x.dtype), cut.axis_name, to="varying")


def global_mean(cut: Layout, x: jax.Array) -> jax.Array:
    """Average over the rows of all devices, `[n ...]` -> `[...]`."""
    return x.mean(axis=0) if cut.axis_name is None else lax.pmean(x.mean(axis=0), cut.axis_name)


def accumulation_dtype(x: jax.Array) -> jnp.dtype:
    """Return the dtype of sums over `x`: at least float32."""
    return jnp.promote_types(x.dtype, jnp.float32)


def matmul(a: jax.Array, b: jax.Array, contract: tuple[int, int], precision: str) -> jax.Array:
    """Contract axis `contract[0]` of `a` with axis `contract[1]` of `b`, summed in float32."""
    dimensions = (((contract[0],), (contract[1],)), ((), ()))
    return lax.dot_general(
        a, b, dimensions, precision=precision, preferred_element_type=accumulation_dtype(a)
    )


def hide_pairs(logits: jax.Array, hidden: jax.Array | None) -> jax.Array:
    """Mask the logits of hidden pairs."""
    return logits if hidden is None else jnp.where(hidden, HIDDEN, logits)


def sweep(cut: Layout, visit: Visit, state: Tree, rows: Tree, columns: Tree) -> Tree:
    """Call `visit` for every pair of rows of the batch whose first row is this device's.

    Args:
      cut: layout of `rows`.
      visit: updates the states of two tiles by the similarities of their rows.
      state: pytree of `[padded ...]`, one entry per row of the device.
      rows: pytree of `[padded ...]`, the device's rows.
      columns: `gather(cut, rows)`.

    Returns:
      The state after all visits.
    """
    if cut.devices == 1:
        return _triangle(cut, visit, state, rows)
    return _strips(cut, visit, state, rows, columns)


def _triangle(cut: Layout, visit: Visit, state: Tree, rows: Tree) -> Tree:
    def outer(i: jax.Array, state: Tree) -> Tree:
        here = _take(rows, i, cut.tile)
        own, _ = visit(here, here, _hidden(cut, i, i, cut.tile), _take(state, i, cut.tile), None)

        def inner(j: jax.Array, carry: tuple[Tree, Tree]) -> tuple[Tree, Tree]:
            own, state = carry
            # Only padding can be hidden off the diagonal; without it the mask costs nothing.
            hidden = None if cut.padded == cut.n else _hidden(cut, i, j, cut.tile)
            there = _take(rows, j, cut.tile)
            own, other = visit(here, there, hidden, own, _take(state, j, cut.tile))
            return own, _put(state, other, j, cut.tile)

        own, state = lax.fori_loop(i + 1, cut.tiles, inner, (own, state))
        return _put(state, own, i, cut.tile)

    return lax.fori_loop(0, cut.tiles, outer, state)


def _strips(cut: Layout, visit: Visit, state: Tree, rows: Tree, columns: Tree) -> Tree:
    width = cut.tile * cut.group
    first = lax.axis_index(cut.axis_name) * cut.tiles

    def outer(i: jax.Array, state: Tree) -> Tree:
        here = _take(rows, i, cut.tile)

        def inner(j: jax.Array, own: Tree) -> Tree:
            hidden = _hidden(cut, first + i, j, width)
            return visit(here, _take(columns, j, width), hidden, own, None)[0]

        steps = cut.devices * cut.tiles // cut.group
        own = lax.fori_loop(0, steps, inner, _take(state, i, cut.tile))
        return _put(state, own, i, cut.tile)

    return lax.fori_loop(0, cut.tiles, outer, state)


def _hidden(cut: Layout, i: jax.Array, j: jax.Array, width: int) -> jax.Array:
    """Return `[tile width]` bool: True for a row with itself and where either is padding."""
    row = i * cut.tile + jnp.arange(cut.tile)
    column = j * width + jnp.arange(width)
    same = row[:, None] == column
    if cut.padded == cut.n:
        return same
    return same | (row % cut.padded >= cut.n)[:, None] | (column % cut.padded >= cut.n)


def _take(tree: Tree, i: jax.Array, size: int) -> Tree:
    return jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, i * size, size), tree)


def _put(tree: Tree, part: Tree, i: jax.Array, size: int) -> Tree:
    return jax.tree.map(lambda x, y: lax.dynamic_update_slice_in_dim(x, y, i * size, 0), tree, part)
