"""Dropout by example: rate and scale, keys per place, and equal masks in any batch."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vujax.models.dropout import Dropout, drop_units
from vujax.models.transformer import Transformer, TransformerConfig, stack_blocks

INDEX = np.arange(6, dtype=np.int32)


def dropout(index: np.ndarray = INDEX, rate: float = 0.25) -> Dropout:
    return Dropout.from_examples(jax.random.key(0), jnp.asarray(index), rate)


def test_drops_the_share_and_keeps_the_mean():
    dropped = drop_units(jnp.ones((6, 4000), jnp.bfloat16), dropout())
    assert dropped.dtype == jnp.bfloat16
    values = np.float32(dropped)
    assert set(np.unique(values)) == {np.float32(0), np.float32(jnp.bfloat16(1 / 0.75))}
    assert (values == 0).mean() == pytest.approx(0.25, abs=0.02)


def test_without_dropout_nothing_changes():
    x = jnp.ones((6, 4))
    assert drop_units(x, None) is x


def test_masks_follow_the_example_and_the_place():
    x = jnp.ones((6, 64))
    masks = drop_units(x, dropout())
    order = np.array([4, 1, 5])
    chex.assert_trees_all_equal(drop_units(x[:3], dropout(INDEX[order])), masks[order])
    others = [drop_units(x, dropout(), 1), dropout().split(2).keys[0]]
    assert (masks != others[0]).any()
    assert others[1].shape == (6,)
    assert (masks[0] != masks[1]).any()


@pytest.mark.parametrize("remat", ["none", "full"])
@jax.enable_x64(True)
def test_scanned_and_unrolled_blocks_drop_the_same(remat: str):
    x = jax.random.normal(jax.random.key(1), (6, 3, 8), jnp.float64)
    plain, scanned = (
        Transformer(TransformerConfig(layers=2, heads=2, remat=remat, scan=scan, dtype=jnp.float64))
        for scan in (False, True)
    )
    params = plain.init(jax.random.key(2), x)["params"]

    def total(module, params, dropout):
        return jax.value_and_grad(
            lambda x: (module.apply({"params": params}, x, dropout=dropout)[0] ** 2).sum()
        )(x)

    dropped = total(plain, params, dropout())
    chex.assert_trees_all_close(
        total(scanned, {"blocks": stack_blocks(params)["blocks"]}, dropout()), dropped, rtol=1e-5
    )
    assert abs(dropped[0] - total(plain, params, None)[0]) > 1e-3
