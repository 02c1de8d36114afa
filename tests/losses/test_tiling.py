"""Layout of tiles, and sweeps that show every row all others once."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec as P

from vujax.losses import _tiling


@pytest.mark.parametrize("n", [1, 5, 255, 256, 257, 1000, 4096])
@pytest.mark.parametrize("largest", [None, 1, 7, 512])
def test_layout_covers_the_rows_with_little_padding(n: int, largest: int | None):
    cut = _tiling.choose_layout((n, 64), None, largest)
    assert n <= cut.padded < n + cut.tiles
    assert largest is None or cut.tile <= largest


def test_default_tile_is_a_quarter_of_the_embeddings():
    assert _tiling.choose_layout((8192, 512), None).tile == 1024
    assert _tiling.choose_layout((65536, 768), None).tile == 2048
    assert _tiling.choose_layout((64, 16), None).tile == 64


def others_seen(cut: _tiling.Layout, rows: jax.Array) -> jax.Array:
    """Sum the others' values for each row by a sweep."""

    def visit(here, there, hidden, mine, other):
        shown = jnp.ones((len(here), len(there))) if hidden is None else ~hidden
        mine = mine + (shown * there).sum(1)
        return mine, None if other is None else other + (shown * here[:, None]).sum(0)

    padded = _tiling.pad(cut, rows)
    # Padding holds zeros; made ones here, so that a sweep that shows it is noticed.
    padded = padded.at[cut.n :].set(1e6)
    columns = _tiling.gather(cut, padded)
    return _tiling.sweep(cut, visit, jnp.zeros_like(padded), padded, columns)[: cut.n]


@pytest.mark.parametrize(("n", "largest"), [(12, 4), (13, 4), (13, 13), (13, 1), (1, 4)])
def test_a_sweep_shows_every_row_all_others_once(n: int, largest: int):
    values = 2.0 ** jnp.arange(n)
    seen = others_seen(_tiling.choose_layout((n, 8), None, largest), values)
    chex.assert_trees_all_equal(seen, values.sum() - values)


@pytest.mark.parametrize("largest", [1, 2, 3, 6, 12, 24])
def test_a_sweep_over_devices_shows_every_row_all_others_once(largest: int, mesh8):
    values = np.arange(24, dtype=np.float32) ** 2

    def share(rows):
        return others_seen(_tiling.choose_layout((3, 8), "data", largest), rows)

    seen = jax.jit(jax.shard_map(share, mesh=mesh8, in_specs=P("data"), out_specs=P("data")))
    chex.assert_trees_all_equal(seen(values), values.sum() - values)


def test_few_rows_on_many_devices_are_compared_with_many_at_a_time(mesh8):
    def share(rows):
        cut = _tiling.choose_layout((len(rows), 64), "data", 256)
        assert (cut.tile, cut.group) == (64, 4)
        return rows

    jax.shard_map(share, mesh=mesh8, in_specs=P("data"), out_specs=P("data"))(jnp.zeros(8 * 64))


def test_varying_is_idempotent_and_sums_the_gradient(mesh8):
    def gradient(scale):
        cut = _tiling.choose_layout((4, 8), "data")
        index = lax.axis_index("data")

        def share(scale):
            once = _tiling.cast_varying(cut, scale, jnp.float32)
            return _tiling.cast_varying(cut, once, jnp.float32) * index

        return jax.grad(share)(scale)

    sharded = jax.shard_map(gradient, mesh=mesh8, in_specs=P(), out_specs=P())
    assert sharded(jnp.float32(1)) == sum(range(8))
