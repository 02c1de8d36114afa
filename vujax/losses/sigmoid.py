"""Pairwise sigmoid loss (SigLIP), in tiles."""

from functools import partial
from typing import NamedTuple

import jax

from vujax.losses import _checks, _tiling
from vujax.losses._tiling import Pair


def sigmoid(
    image: jax.Array,
    text: jax.Array,
    scale: jax.Array | float,
    bias: jax.Array | float,
    *,
    axis_name: str | None = None,
    tile: int | None = None,
    precision: str = "highest",
) -> jax.Array:
    """Compute SigLIP's loss, which classifies each pair (Zhai et al. 2023, arXiv:2303.15343).

        -1/N sum_ij log sigmoid(z_ij (scale * image_i . text_j + bias)),   z_ii = 1, else -1.

    Unlike a softmax it needs no normalizer, so value and gradient come from one pass over tiles.

    Args:
      image: unit-length embeddings `[n d]`, float32 or bfloat16.
      text: unit-length embeddings `[n d]`; row i belongs to row i of `image`.
      scale: `()`, the positive multiplier exp(logit_scale).
      bias: `()`; start near -log N (SigLIP: -10 with scale 10).
      axis_name: None: the arrays are the global batch. A mesh axis: they are one device's rows in
        shard_map, and the value is this device's share, as in `soft_alignment`. The gradient is
        correct if all devices' shares count equally, as in a psum of them.
      tile: maximum rows in a tile; None chooses by N and d.
      precision: of the matrix products of embeddings.

    Returns:
      `()` float32, the loss or this device's share of it.

    Raises:
      ValueError: a shape, a dtype or a number that is not traced is not valid.
    """
    _checks.check_rows("sigmoid", (image, text))
    _checks.check_number("sigmoid", "scale", scale, "(0, inf)")
    _checks.check_number("sigmoid", "bias", bias)
    _checks.check_tile("sigmoid", tile)
    cut = _tiling.choose_layout(image.shape, axis_name, tile)
    scale, bias = (
        _tiling.cast_varying(cut, x, _tiling.accumulation_dtype(image)) for x in (scale, bias)
    )
    return _share(cut, precision, (image, text), scale, bias) / (cut.n * cut.devices)


class Sums(NamedTuple):
    """Sums of one pass for each row.

    Attributes:
      loss: `[n]`, of the image's row.
      by_bias: `[n]`, its derivative with respect to the bias.
      gradients: `[n d]` twice, of the global loss with respect to the row's embeddings, divided by
        the scale. (Like `by_bias`, None in a pass for the value alone.)
    """

    loss: jax.Array
    by_bias: jax.Array | None
    gradients: Pair | None


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _share(
    cut: _tiling.Layout, precision: str, embeddings: Pair, scale: jax.Array, bias: jax.Array
) -> jax.Array:
    """Sum the loss over this device's images and all texts."""
    return _pass(cut, precision, embeddings, scale, bias, differentiate=False).loss.sum()


def _fwd(
    cut: _tiling.Layout, precision: str, embeddings: Pair, scale: jax.Array, bias: jax.Array
) -> tuple[jax.Array, tuple]:
    sums = _pass(cut, precision, embeddings, scale, bias, differentiate=True)
    image, text = (
        (scale * g).astype(x.dtype) for g, x in zip(sums.gradients, embeddings, strict=True)
    )
    by_scale = (embeddings[0] * sums.gradients[0]).sum()
    return sums.loss.sum(), (image, text, by_scale, sums.by_bias.sum())


def _bwd(cut: _tiling.Layout, precision: str, residuals: tuple, cotangent: jax.Array) -> tuple:
    image, text, by_scale, by_bias = jax.tree.map(
        lambda x: (cotangent * x).astype(x.dtype), residuals
    )
    return (image, text), by_scale, by_bias


_share.defvjp(_fwd, _bwd)


def _pass(
    cut: _tiling.Layout,
    precision: str,
    embeddings: Pair,
    scale: jax.Array,
    bias: jax.Array,
    *,
    differentiate: bool,
) -> Sums:
    def visit(
        here: Pair, there: Pair, hidden: jax.Array | None, mine: Sums, other: Sums | None
    ) -> tuple[Sums, Sums | None]:
        logits = tuple(
            _tiling.hide_pairs(scale * _tiling.matmul(a, b, (1, 1), precision) + bias, hidden)
            for a, b in zip(here, there[::-1], strict=True)
        )
        mine = _add(mine, logits, there, 1, precision)
        if other is not None:  # seen from J, the images' side is the texts' side transposed
            other = _add(other, logits[::-1], here, 0, precision)
        return mine, other

    rows = _tiling.pad(cut, embeddings)
    start = _tiling.pad(cut, _own_pairs(embeddings, scale, bias, differentiate))
    sums = _tiling.sweep(cut, visit, start, rows, _tiling.gather(cut, rows))
    return jax.tree.map(lambda x: x[: cut.n], sums)


def _own_pairs(embeddings: Pair, scale: jax.Array, bias: jax.Array, differentiate: bool) -> Sums:
    image, text = (x.astype(_tiling.accumulation_dtype(x)) for x in embeddings)
    logit = scale * (image * text).sum(axis=1) + bias
    slope = -jax.nn.sigmoid(-logit)
    gradients = (slope[:, None] * text, slope[:, None] * image)
    if not differentiate:
        return Sums(jax.nn.softplus(-logit), None, None)
    return Sums(jax.nn.softplus(-logit), slope, gradients)


def _add(sums: Sums, logits: Pair, others: Pair, axis: int, precision: str) -> Sums:
    """Add a tile to the sums, reduced over `axis`; `others` are the rows along `axis`."""
    loss = sums.loss + jax.nn.softplus(logits[0]).sum(axis)
    if sums.gradients is None:
        return Sums(loss, None, None)
    slopes = tuple(jax.nn.sigmoid(x) for x in logits)
    gradients = tuple(
        g + _tiling.matmul(s.astype(x.dtype), x, (axis, 0), precision)
        for g, s, x in zip(sums.gradients, slopes, others[::-1], strict=True)
    )
    return Sums(loss, sums.by_bias + slopes[0].sum(axis), gradients)
