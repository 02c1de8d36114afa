"""Whether embeddings still tell examples apart."""

import jax
import jax.numpy as jnp
from jax import lax


def spread(
    embedding: jax.Array, axis_name: str | None, there: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """`(effective rank, mean standard deviation * sqrt(d))` of unit vectors `[n d]`.

    With `there` `[n]` bool, of those alone.

    The effective rank is the participation ratio of the covariance's eigenvalues,
    (sum l)^2 / sum l^2: d for isotropic vectors, 1 when all lie on one line. The second is 1 for
    isotropic vectors and 0 when all are equal.
    """
    weight = jnp.ones(len(embedding)) if there is None else there.astype(jnp.float32)
    weight = (weight / jnp.maximum(average(weight.mean(), axis_name), 1e-9))[:, None]
    mean = average((weight * embedding).mean(0), axis_name)
    centred = embedding - mean
    covariance = average((weight * centred).T @ centred / len(embedding), axis_name)
    variance = jnp.diagonal(covariance)
    rank = variance.sum() ** 2 / jnp.maximum((covariance**2).sum(), 1e-20)
    return rank, jnp.sqrt(variance).mean() * jnp.sqrt(embedding.shape[-1])


def average(x: jax.Array, axis_name: str | None) -> jax.Array:
    """The mean over devices."""
    return x if axis_name is None else lax.pmean(x, axis_name)


def alarms(stats: dict[str, jax.Array], progress: jax.Array) -> dict[str, jax.Array]:
    """1 where 'effective_rank' or 'embedding_std' tells of collapse, else 0; see `late`."""
    raised = {
        "alarm/low_rank": stats["effective_rank"] < 2.0,
        "alarm/low_variance": stats["embedding_std"] < 0.05,
    }
    return late(raised, progress)


def late(raised: dict[str, jax.Array], progress: jax.Array) -> dict[str, jax.Array]:
    """An untrained model looks collapsed by every measure, so the first tenth raises none."""
    return {name: (value & (progress > 0.1)).astype(jnp.float32) for name, value in raised.items()}
