"""Logsumexp over a row's other pairs, and means under its softmax, one tile at a time.

Milakov and Gimelshein 2018, arXiv:1805.02867, with every logit taken relative to the row's own
pair: that pair is then exactly 0 and stands apart from the sums, so that logsumexp keeps its digits
where the own pair has nearly all the mass, and the maximum is finite from the start.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Online(NamedTuple):
    """Sums over the others, relative to a running maximum.

    Attributes:
      top: `[n]`, the largest relative logit so far, at least the own pair's 0.
      total: `[n]`, sum of exp(logit - top).
      moment: `[n]`, sum of exp(logit - top) * value, or None if no mean is wanted.
    """

    top: jax.Array
    total: jax.Array
    moment: jax.Array | None


def start(like: jax.Array, *, with_mean: bool) -> Online:
    """Nothing seen yet of rows `[n]`."""
    nothing = jnp.zeros_like(like)
    return Online(nothing, nothing, nothing if with_mean else None)


def absorb(sums: Online, logits: jax.Array, values: jax.Array, axis: int) -> Online:
    """Adds a tile of relative logits, reduced over `axis`; `values` is for the mean, if wanted."""
    top = jnp.maximum(sums.top, logits.max(axis))
    fade = jnp.exp(sums.top - top)
    weights = jnp.exp(logits - jnp.expand_dims(top, axis))
    total = sums.total * fade + weights.sum(axis)
    if sums.moment is None:
        return Online(top, total, None)
    return Online(top, total, sums.moment * fade + (weights * values).sum(axis))


def gap(sums: Online) -> jax.Array:
    """`[n]`: logsumexp over all of the row, relative to the own pair's logit; at least 0."""
    return sums.top + jnp.log1p(sums.total + jnp.expm1(-sums.top))


def mean(sums: Online) -> jax.Array:
    """`[n]`: mean of the values under the softmax over all; the own pair's value is 0."""
    return sums.moment / (sums.total + jnp.exp(-sums.top))
