"""Online sums of softmaxes over tiles, with every logit relative to the row's own pair.

Logsumexps are online (Milakov and Gimelshein 2018, arXiv:1805.02867). The own pair is exactly 0 and
stays apart from the sums, so that logsumexp keeps its digits where that pair has nearly all the
mass, and the maximum is finite from the start.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class RunningSums(NamedTuple):
    """Sums over a row's other pairs, relative to a running maximum.

    Attributes:
      top: `[n]`, the largest relative logit so far, at least the own pair's 0.
      total: `[n]`, sum of exp(logit - top).
      moment: `[n]`, sum of exp(logit - top) * value, or None where no mean is needed.
    """

    top: jax.Array
    total: jax.Array
    moment: jax.Array | None


def empty_sums(like: jax.Array, *, with_mean: bool) -> RunningSums:
    """Return the sums of rows `[n]` before the first tile."""
    nothing = jnp.zeros_like(like)
    return RunningSums(nothing, nothing, nothing if with_mean else None)


def add_tile(sums: RunningSums, logits: jax.Array, values: jax.Array, axis: int) -> RunningSums:
    """Add a tile of relative logits, reduced over `axis`; `values` are averaged where needed."""
    top = jnp.maximum(sums.top, logits.max(axis))
    fade = jnp.exp(sums.top - top)
    weights = jnp.exp(logits - jnp.expand_dims(top, axis))
    total = sums.total * fade + weights.sum(axis)
    if sums.moment is None:
        return RunningSums(top, total, None)
    return RunningSums(top, total, sums.moment * fade + (weights * values).sum(axis))


def compute_gap(sums: RunningSums) -> jax.Array:
    """Compute `[n]`, the logsumexp of each row relative to its own pair's logit; at least 0."""
    return sums.top + jnp.log1p(sums.total + jnp.expm1(-sums.top))


def compute_mean(sums: RunningSums) -> jax.Array:
    """Compute `[n]`, the mean of the values under each row's softmax; the own pair's is 0."""
    return sums.moment / (sums.total + jnp.exp(-sums.top))
