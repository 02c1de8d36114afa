"""Contrastive losses whose targets may be soft alignments between images and texts."""

import jax
import jax.numpy as jnp
from jax import lax

from vujax.losses import _checks, _tiling
from vujax.losses._soft_alignment_tiled import Settings, Soft, row_losses
from vujax.losses._tiling import Pair
from vujax.utils.deprecation import replace_deprecated

TARGETS = ("plain", "swapped_rows", "own_columns", "half_columns")
DEPRECATED_TARGETS = {"swapped": "swapped_rows"}


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
    axis_name: str | None = None,
    tile: int | None = None,
    precision: str = "highest",
) -> jax.Array:
    """Compute the cross-entropy of images and texts against soft targets, mean over 2N rows.

    With S_ij = scale * image_i . text_j, image i predicts softmax_j S_ij and text i softmax_j S_ji.
    The target of image i (a text's is the same with the sides exchanged) is

        (1 - w_i) hard_i + w_i soft_i,       w_i = soft_weight if unaligned_i else 0,
        hard_i = (1 - label_smoothing) * one-hot_i + label_smoothing / N,
        T_ij = scale * teacher_image_i . teacher_text_j / teacher_temperature,

    and soft_i by `target`:

        'plain':         softmax_j T_ij,
        'swapped_rows':  softmax_j T_ji, text i's row,
        'own_columns':   softmax_j (T_ij - c_j), c_j = logsumexp_k T_kj over all images k,
        'half_columns':  the mean of 'plain' and 'own_columns'.

    'own_columns' normalizes image i's own similarities over the images of each text, then over its
    row: "swapped" in the sense of SwAV (Caron et al. 2020, arXiv:2006.09882). On a wrong pair
    'swapped_rows' favors what the wrong caption fits, the others what the image itself fits.

    No gradient flows into soft_i. Exact at any N: similarities are computed in tiles, twice (three
    times with own columns), and temporaries are O(N d), never [n N].

    Args:
      image: unit-length embeddings `[n d]`, float32 or bfloat16 (then products are of bfloat16 and
        sums in float32).
      text: unit-length embeddings `[n d]`; row i belongs to row i of `image`.
      scale: `()`, the positive multiplier exp(logit_scale).
      unaligned: `[n]` bool, rows whose target is soft. With none, this is `info_nce`.
      target: one of `TARGETS`, as above; 'swapped' is a deprecated alias of 'swapped_rows'. 'plain'
        with neither a teacher, nor another temperature, nor a one-hot mixed in, gives unaligned
        rows no gradient of their own.
      teacher: unit-length embeddings `([n d], [n d])` of the same images and texts that give T (by
        an average of past parameters); None: the embeddings themselves.
      teacher_temperature: divides the teacher's logits; below 1 sharpens soft targets. The
        teacher's own scale, if it has one, enters here as scale / teacher_scale.
      soft_weight: in [0, 1], the soft share of an unaligned row's target (ALBEF, Li et al. 2021,
        arXiv:2107.07651, mixes 0.4 of it with the one-hot).
      label_smoothing: in [0, 1), applied to every one-hot.
      axis_name: None: the arrays are the global batch. A mesh axis: they are one device's rows in
        shard_map, and the value is this device's share: psum over the axis gives the global loss,
        and the gradient by `image` and `text` is that of the global loss.
      tile: maximum rows in a tile; None chooses by N and d (see `_tiling.choose_layout`).
      precision: of the matrix products of embeddings. Lower than 'highest' lets a TPU round float32
        embeddings to bfloat16, even before they are gathered.

    Returns:
      `()` float32, the loss or this device's share of it.

    Raises:
      ValueError: `target` is unknown, a shape, a dtype or a number that is not traced is not valid.
      ShardingTypeError: axis_name is None and the arrays are sharded over an Explicit axis of the
        mesh; give axis_name, in shard_map. (On Auto axes the compiler gathers them.)
    """
    target = replace_deprecated("target", target, DEPRECATED_TARGETS)
    if target not in TARGETS:
        known = ", ".join(TARGETS)
        raise ValueError(f"soft_alignment: unknown target '{target}'; expected one of: {known}")
    loss = "soft_alignment"
    _check_common(loss, (image, text), scale, label_smoothing, tile, teacher)
    _checks.check_mask(loss, "unaligned", unaligned, len(image))
    _checks.check_number(loss, "soft_weight", soft_weight, "[0, 1]")
    _checks.check_number(loss, "teacher_temperature", teacher_temperature, "(0, inf)")
    is_default = isinstance(teacher_temperature, float | int) and teacher_temperature == 1
    soft = Soft(
        weight=soft_weight * unaligned.astype(jnp.float32),
        teacher=teacher,
        temperature=None if is_default else jnp.asarray(teacher_temperature, jnp.float32),
    )
    cut = _tiling.choose_layout(image.shape, axis_name, tile)
    settings = Settings(cut, target, precision)
    return _share(settings, (image, text), scale, lax.stop_gradient(soft), label_smoothing)


def info_nce(
    query: jax.Array,
    key: jax.Array,
    scale: jax.Array | float,
    *,
    label_smoothing: float = 0.0,
    axis_name: str | None = None,
    tile: int | None = None,
    precision: str = "highest",
) -> jax.Array:
    """Compute symmetric InfoNCE, CLIP's loss (Radford et al. 2021, arXiv:2103.00020).

    The mean is over the 2N rows, with the rest of the batch as negatives. It is `soft_alignment`
    with every row aligned, without the cost of soft targets.

    Args:
      query: unit-length embeddings `[n d]`.
      key: unit-length embeddings `[n d]`; row i belongs to row i of `query`.
      scale: `()`, the positive multiplier exp(logit_scale), or 1 / temperature.
      label_smoothing: in [0, 1), share of each target spread evenly over all N.
      axis_name: see `soft_alignment`.
      tile: see `soft_alignment`.
      precision: see `soft_alignment`.

    Returns:
      `()` float32, the loss or this device's share of it.

    Raises:
      ValueError: a shape, a dtype or a number that is not traced is not valid.
    """
    _check_common("info_nce", (query, key), scale, label_smoothing, tile)
    cut = _tiling.choose_layout(query.shape, axis_name, tile)
    return _share(Settings(cut, "plain", precision), (query, key), scale, None, label_smoothing)


def _check_common(
    loss: str,
    embeddings: Pair,
    scale: jax.Array | float,
    label_smoothing: float,
    tile: int | None,
    teacher: Pair | None = None,
) -> None:
    _checks.check_rows(loss, embeddings, teacher)
    _checks.check_number(loss, "scale", scale, "(0, inf)")
    _checks.check_number(loss, "label_smoothing", label_smoothing, "[0, 1)")
    _checks.check_tile(loss, tile)


def _share(
    settings: Settings,
    embeddings: Pair,
    scale: jax.Array | float,
    soft: Soft | None,
    label_smoothing: float,
) -> jax.Array:
    """Compute this device's share of the mean over the 2N rows."""
    cut = settings.cut
    scale = _tiling.cast_varying(cut, scale, _tiling.accumulation_dtype(embeddings[0]))
    total = sum(rows.sum() for rows in row_losses(settings, embeddings, scale, soft))
    if label_smoothing:
        hard = 1.0 if soft is None else 1.0 - soft.weight
        total += label_smoothing * (hard * _smoothing_penalty(cut, embeddings, scale)).sum()
    return total / (2 * cut.n * cut.devices)


def _smoothing_penalty(cut: _tiling.Layout, embeddings: Pair, scale: jax.Array) -> jax.Array:
    """Compute `[n]`: S_ii minus the mean logit of image row i, plus the same for text row i.

    Label smoothing adds this much to a row's cross-entropy; it needs only means of embeddings.
    """
    image, text = (x.astype(_tiling.accumulation_dtype(x)) for x in embeddings)
    from_text, from_image = (
        text - _tiling.global_mean(cut, text),
        image - _tiling.global_mean(cut, image),
    )
    return scale * (image * from_text + text * from_image).sum(axis=1)
