"""Statistics of soft targets that reveal a collapse."""

import jax
import jax.numpy as jnp
from jax import lax

from vujax.losses import _checks, _tiling


def alignment_stats(
    image: jax.Array,
    text: jax.Array,
    scale: jax.Array | float,
    *,
    teacher: _tiling.Pair | None = None,
    teacher_temperature: jax.Array | float = 1.0,
    rows: int = 128,
    axis_name: str | None = None,
) -> dict[str, jax.Array]:
    """Compute entropy and diagonal mass of the soft targets of a sample of rows.

    The sample is the first rows of the global batch, whose order is random, against all columns:
    two arrays `[rows N]`, the same on any number of devices. Means are over both sides, so they do
    not depend on `target` of `soft_alignment`. No gradient flows.

    Args:
      image: unit-length embeddings `[n d]`; arguments are as for `soft_alignment`.
      text: unit-length embeddings `[n d]`.
      scale: `()`.
      teacher: unit-length embeddings `([n d], [n d])` that give the targets, or None.
      teacher_temperature: divides the teacher's logits.
      rows: size of the sample, at most N.
      axis_name: mesh axis in shard_map, or None.

    Returns:
      Means over the sample and both sides, `()` float32, equal on all devices:
        target_entropy: in nats, from 0 (one-hot) to log N (uniform, without information).
        target_diagonal: the mass of a soft target on the row's own pair.

    Raises:
      ValueError: the shapes of the arrays do not match.
    """
    _checks.check_rows("alignment_stats", (image, text), teacher)
    sides, scale = lax.stop_gradient((teacher or (image, text), scale / teacher_temperature))
    if axis_name is not None:
        sides = lax.all_gather(sides, axis_name, tiled=True)
    entropies, own = [], []
    for mine, other in (sides, sides[::-1]):
        logits = scale * _tiling.matmul(mine[:rows], other, (1, 1), "highest")
        log_target = jax.nn.log_softmax(logits, axis=1)
        entropies.append(-(jnp.exp(log_target) * log_target).sum(axis=1).mean())
        own.append(jnp.exp(jnp.diagonal(log_target)).mean())
    stats = {"target_entropy": sum(entropies) / 2, "target_diagonal": sum(own) / 2}
    # Equal on all devices already; pmax tells the type system so without changing a bit.
    return stats if axis_name is None else lax.pmax(stats, axis_name)
