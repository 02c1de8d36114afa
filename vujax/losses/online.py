"""Logsumexp over a row's other pairs, and means under its softmax, one tile at a time.

Milakov and Gimelshein 2018, arXiv:1805.02867, with two changes: the row's own pair stands apart
from the sums, so that logsumexp minus its logit keeps its digits where the own pair has nearly all
the mass; and the maximum starts at the own pair, so that it is finite from the first.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Online(NamedTuple):
    """Sums over the others, relative to a running maximum.

    Attributes:
      top: `[n]`, the largest logit so far, the own pair's included.
      total: `[n]`, sum of exp(logit - top).
      moment: `[n]`, sum of exp(logit - top) * value, or None if no mean is wanted.
    """

    top: jax.Array
    total: jax.Array
    moment: jax.Array | None


def start(own: jax.Array, *, with_mean: bool) -> Online:
    """Nothing seen yet but the logits `[n]` of the own pairs."""
    nothing = jnp.zeros_like(own)
    return Online(own, nothing, nothing if with_mean else None)


def absorb(sums: Online, logits: jax.Array, values: jax.Array, axis: int) -> Online:
    """Adds a tile, whose logits are reduced over `axis`; `values` is for the mean, if wanted."""
    top = jnp.maximum(sums.top, logits.max(axis))
    fade = jnp.exp(sums.top - top)
    weights = jnp.exp(logits - jnp.expand_dims(top, axis))
    total = sums.total * fade + weights.sum(axis)
    if sums.moment is None:
        return Online(top, total, None)
    return Online(top, total, sums.moment * fade + (weights * values).sum(axis))


def gap(sums: Online, own: jax.Array) -> jax.Array:
    """`[n]`: logsumexp over all, minus the own pair's logit; at least 0."""
    above = sums.top - own
    return above + jnp.log1p(sums.total + jnp.expm1(-above))


def mean(sums: Online, own: jax.Array) -> jax.Array:
    """`[n]`: mean of the values under the softmax over all; the own pair's value is 0."""
    return sums.moment / (sums.total + jnp.exp(own - sums.top))
