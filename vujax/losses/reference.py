"""Reference losses as their formulas read, with full similarity matrices: to read and test against.

Everything here takes the global batch and makes `[n n]` arrays. The functions of the same names in
`vujax.losses` give the same values without those arrays, on one device or many.
"""

import jax
import jax.numpy as jnp
from jax import lax

Pair = tuple[jax.Array, jax.Array]


def scaled_similarity(image: jax.Array, text: jax.Array, scale: jax.Array | float) -> jax.Array:
    """Compute logits `[n n]`: `scale * image_i . text_j`."""
    return scale * jnp.matmul(image, text.T, precision="highest")


def hard_targets(n: int, label_smoothing: float = 0.0) -> jax.Array:
    """Compute targets `[n n]`: `(1 - label_smoothing) * one-hot + label_smoothing / n`."""
    return (1.0 - label_smoothing) * jnp.eye(n) + label_smoothing / n


def soft_targets(logits: jax.Array, target: str) -> Pair:
    """Compute soft targets of images over texts and of texts over images, each `[n n]`.

    Args:
      logits: the teacher's, `[n n]`, images by texts; rows of the results sum to 1.
      target: 'plain': a row's own softmax; 'swapped_rows': image i takes text i's, text i image
        i's; 'own_columns': a row of the softmax over columns, normalized; 'half_columns': the mean
        of 'plain' and 'own_columns'.
    """
    sides = logits, logits.T
    plain = tuple(jax.nn.softmax(side, axis=1) for side in sides)
    columns = tuple(jax.nn.softmax(jax.nn.log_softmax(side, axis=0), axis=1) for side in sides)
    targets = {
        "plain": plain,
        "swapped_rows": plain[::-1],
        "own_columns": columns,
        "half_columns": tuple((p + c) / 2 for p, c in zip(plain, columns, strict=True)),
    }
    return lax.stop_gradient(targets[target])


def cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Compute `[n]`: `-sum_j targets_ij log softmax(logits)_ij`."""
    return -(targets * jax.nn.log_softmax(logits, axis=1)).sum(axis=1)


def soft_alignment(
    image: jax.Array,
    text: jax.Array,
    scale: jax.Array | float,
    unaligned: jax.Array,
    *,
    target: str = "swapped_rows",
    teacher: Pair | None = None,
    teacher_temperature: jax.Array | float = 1.0,
    soft_weight: jax.Array | float = 1.0,
    label_smoothing: float = 0.0,
) -> jax.Array:
    """Compute `vujax.losses.soft_alignment` with full matrices."""
    logits = scaled_similarity(image, text, scale)
    teacher_image, teacher_text = teacher or (image, text)
    teacher_logits = scaled_similarity(teacher_image, teacher_text, scale) / teacher_temperature
    weight = (soft_weight * unaligned)[:, None]
    hard = hard_targets(len(image), label_smoothing)
    image_targets, text_targets = (
        (1 - weight) * hard + weight * soft for soft in soft_targets(teacher_logits, target)
    )
    rows = cross_entropy(logits, image_targets) + cross_entropy(logits.T, text_targets)
    return rows.mean() / 2


def info_nce(
    query: jax.Array, key: jax.Array, scale: jax.Array | float, *, label_smoothing: float = 0.0
) -> jax.Array:
    """Compute `vujax.losses.info_nce` with full matrices."""
    logits = scaled_similarity(query, key, scale)
    targets = hard_targets(len(query), label_smoothing)
    return (cross_entropy(logits, targets) + cross_entropy(logits.T, targets)).mean() / 2


def sigmoid(
    image: jax.Array, text: jax.Array, scale: jax.Array | float, bias: jax.Array | float
) -> jax.Array:
    """Compute `vujax.losses.sigmoid` with full matrices."""
    logits = scaled_similarity(image, text, scale) + bias
    signs = 2 * jnp.eye(len(image)) - 1
    return -jax.nn.log_sigmoid(signs * logits).sum(axis=1).mean()


def cyclip(
    image: jax.Array, text: jax.Array, *, in_modal: float = 0.25, cross_modal: float = 0.25
) -> jax.Array:
    """Compute `vujax.losses.cyclip` with full matrices."""
    cross = scaled_similarity(image, text, 1.0)
    inside = scaled_similarity(image, image, 1.0) - scaled_similarity(text, text, 1.0)
    terms = in_modal * inside**2 + cross_modal * (cross - cross.T) ** 2
    return terms.sum(axis=1).mean()
