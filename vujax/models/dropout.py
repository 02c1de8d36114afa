"""Dropout whose masks belong to examples, not to positions in a batch.

A mask follows from the example's own key, so that it does not depend on devices, micro-batches or
the number of rows (see `vujax.methods.base.Method.embed`). Srivastava et al., "Dropout: A Simple
Way to Prevent Neural Networks from Overfitting" (2014).
"""

import dataclasses
from collections.abc import Collection
from typing import Self

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Dropout:
    """The keys of a batch's masks, and the share of entries that they remove.

    Attributes:
      keys: typed PRNG keys `[b]`, one per row; `[layers b]` after `split`.
      rate: share of entries that become 0, in [0, 1).
    """

    keys: jax.Array
    rate: float = dataclasses.field(metadata=dict(static=True))

    @classmethod
    def from_examples(cls, rng: jax.Array, index: jax.Array, rate: float) -> Self:
        """Build the keys of a batch from the step's key and the examples' numbers `[b]` int32."""
        return cls(jax.vmap(lambda number: jax.random.fold_in(rng, number))(index), rate)

    def fold_in(self, number: int) -> Self:
        """Return other keys for another place of the network."""
        keys = jax.vmap(lambda key: jax.random.fold_in(key, number))(self.keys)
        return dataclasses.replace(self, keys=keys)

    def split(self, count: int) -> Self:
        """Return `count` places along a new first axis of the keys, `[count b]`."""
        keys = jax.vmap(lambda key: jax.random.split(key, count), out_axes=1)(self.keys)
        return dataclasses.replace(self, keys=keys)

    def apply(self, x: jax.Array) -> jax.Array:
        """Zero a share `rate` of the entries of x `[b ...]`, and divide the others by 1 - rate."""
        draw = lambda key: jax.random.bernoulli(key, 1.0 - self.rate, x.shape[1:])  # noqa: E731
        return jnp.where(jax.vmap(draw)(self.keys), x / (1.0 - self.rate), 0).astype(x.dtype)


def drop_units(x: jax.Array, dropout: Dropout | None, place: int = 0) -> jax.Array:
    """Apply dropout to x `[b ...]` with the keys of one place of the network; None: return x.

    Args:
      x: any floating array with one row per example.
      dropout: of the examples, or None where nothing is dropped.
      place: number of the place; two places of one module must differ.
    """
    return x if dropout is None else dropout.fold_in(place).apply(x)


def split_dropout(
    dropout: Dropout | None, frozen: Collection[str] = ()
) -> tuple[Dropout | None, Dropout | None]:
    """Return the dropout of an image and of a text tower; None for those in `frozen`."""
    if dropout is None:
        return None, None
    image, text = (
        None if side in frozen else dropout.fold_in(number)
        for number, side in enumerate(("image", "text"))
    )
    return image, text
