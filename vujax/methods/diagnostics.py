"""Metrics that show whether embeddings still tell examples apart, and their alarms."""

import jax
import jax.numpy as jnp
from jax import lax

WARMUP = 0.1  # share of the training without alarms
MIN_RANK = 2.0  # effective rank below which an alarm is raised


def compute_spread(
    embedding: jax.Array, axis_name: str | None, valid: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Return `(effective rank, mean standard deviation * sqrt(d))` of unit embeddings `[n d]`.

    The effective rank is the participation ratio of the covariance's eigenvalues,
    (sum l)^2 / sum l^2: d for isotropic embeddings, 1 when all lie on one line. The second is 1 for
    isotropic embeddings and 0 when all are equal.

    Args:
      embedding: this device's rows.
      axis_name: mesh axis inside shard_map; None: all rows are here.
      valid: `[n]` bool, rows that count; None: all.
    """
    weight = jnp.ones(len(embedding)) if valid is None else valid.astype(jnp.float32)
    weight = (weight / jnp.maximum(mean_over_devices(weight.mean(), axis_name), 1e-9))[:, None]
    mean = mean_over_devices((weight * embedding).mean(0), axis_name)
    centered = embedding - mean
    covariance = mean_over_devices((weight * centered).T @ centered / len(embedding), axis_name)
    variance = jnp.diagonal(covariance)
    rank = variance.sum() ** 2 / jnp.maximum((covariance**2).sum(), 1e-20)
    return rank, jnp.sqrt(variance).mean() * jnp.sqrt(embedding.shape[-1])


def mean_over_devices(x: jax.Array, axis_name: str | None) -> jax.Array:
    """Return the mean of `x` over the devices of a mesh axis."""
    return x if axis_name is None else lax.pmean(x, axis_name)


def mean_of_masked(x: jax.Array, mask: jax.Array, axis_name: str | None) -> jax.Array:
    """Return the mean of values `[n]` over the rows of `mask`, of all devices; 0 without any."""
    share = mean_over_devices(mask.mean(dtype=jnp.float32), axis_name)
    mean = mean_over_devices(jnp.where(mask, x, 0).mean(dtype=jnp.float32), axis_name)
    return mean / jnp.maximum(share, 1e-9)


def detect_collapse(
    stats: dict[str, jax.Array], progress: jax.Array, min_rank: float = MIN_RANK
) -> dict[str, jax.Array]:
    """Return 'alarm/...' metrics: 1 where rank or standard deviation shows a collapse, else 0.

    Args:
      stats: with 'effective_rank' and 'embedding_std'.
      progress: share of the training that is done.
      min_rank: effective rank below which 'alarm/low_rank' is raised.
    """
    raised = {
        "alarm/low_rank": stats["effective_rank"] < min_rank,
        "alarm/low_variance": stats["embedding_std"] < 0.05,
    }
    return suppress_early(raised, progress)


def suppress_early(raised: dict[str, jax.Array], progress: jax.Array) -> dict[str, jax.Array]:
    """Return alarms as float32, 0 in the first tenth: an untrained model looks collapsed."""
    return {
        name: (value & (progress > WARMUP)).astype(jnp.float32) for name, value in raised.items()
    }
