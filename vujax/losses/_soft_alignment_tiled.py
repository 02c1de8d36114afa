"""Cross-entropy of every image row and every text row of a batch, exact, tiled and sharded.

With S_ij = scale * image_i . text_j, row i of the images has the loss

    loss_i = gap_i - w_i sum_j q_ij (S_ij - S_ii),    gap_i = logsumexp_j S_ij - S_ii,

the cross-entropy of softmax_j S_ij against the target (1 - w_i) one-hot_i + w_i q_i; the texts have
the same with S transposed. All is relative to the row's own pair, and gap is log(1 + sum over the
others of exp(S_ij - S_ii)), so that a loss near zero keeps its digits.

The first pass accumulates logsumexps and means, the second recomputes the tiles for the gradient.
It has every softmax from the logsumexps, so of other devices it needs only these and the
embeddings.

Logsumexps are online (Milakov and Gimelshein 2018, arXiv:1805.02867), with every logit relative to
the row's own pair: that pair is then exactly 0 and stays apart from the sums, so that logsumexp
keeps its digits where the own pair has nearly all the mass, and the maximum is finite from the
start.

A `Pair` holds a value for the images' side and one for the texts' side. A view is a similarity
matrix: the student's, and the teacher's where it differs. The last view gives the soft targets.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vujax.losses import _tiling
from vujax.losses._tiling import Pair


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


Sums = tuple[tuple[RunningSums, RunningSums], ...]  # of each view's sides


class Settings(NamedTuple):
    """Static settings of the compiled passes.

    Attributes:
      cut: layout of the rows.
      swapped: True gives image i text i's soft target and vice versa; False, its own side's.
      precision: of the matrix products of embeddings.
    """

    cut: _tiling.Layout
    swapped: bool
    precision: str


class Soft(NamedTuple):
    """The soft part of the targets; no gradient flows into it.

    Attributes:
      weight: `[n]` in [0, 1], share of the soft target in a row's target.
      teacher: unit-length `[n d]` that give the soft targets, or None for the embeddings.
      temperature: `()`, divides the teacher's logits, or None for 1.
    """

    weight: jax.Array
    teacher: Pair | None
    temperature: jax.Array | None


class Rows(NamedTuple):
    """Inputs of the first pass per row.

    Attributes:
      views: embeddings of each view; None where they equal the previous view's.
      own: `[n]` per view, the logit of the row's own pair.
    """

    views: tuple[Pair | None, ...]
    own: tuple[jax.Array, ...]


class Residuals(NamedTuple):
    """Inputs of the second pass per row.

    Attributes:
      views: as in `Rows`.
      lse: logsumexp per view and side.
      pull: scale * cotangent of the row's loss, per side.
      soft_pull: weight * pull, or None without soft targets.
    """

    views: tuple[Pair | None, ...]
    lse: tuple[Pair, ...]
    pull: Pair
    soft_pull: Pair | None


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def row_losses(settings: Settings, embeddings: Pair, scale: jax.Array, soft: Soft | None) -> Pair:
    """Compute losses `[n]` of images and of texts; differentiable in embeddings and scale.

    Args:
      settings: see `Settings`.
      embeddings: unit-length `[n d]`, of images and of texts.
      scale: `()`, positive; under an axis it must be varying, as the embeddings are.
      soft: the soft part of the targets, or None for one-hot targets.
    """
    return _fwd(settings, embeddings, scale, soft)[0]


def _fwd(
    settings: Settings, embeddings: Pair, scale: jax.Array, soft: Soft | None
) -> tuple[Pair, tuple]:
    cut, n = settings.cut, settings.cut.n
    scales = _scales(scale, soft)
    rows = _tiling.pad(cut, _rows(embeddings, scales, soft))
    columns = _tiling.gather(cut, rows)
    sums = _first_pass(settings, scales, soft is not None, rows, columns)
    gaps = [tuple(compute_gap(side) for side in view) for view in sums]
    losses = tuple(gap[:n] for gap in gaps[0])
    if soft is not None:
        means = tuple(compute_mean(side) for side in sums[-1])
        targets = means[::-1] if settings.swapped else means
        losses = tuple(
            loss - soft.weight * mean[:n] for loss, mean in zip(losses, targets, strict=True)
        )
    return losses, (embeddings, scale, soft, rows, columns.views, gaps)


def _bwd(settings: Settings, residuals: tuple, cotangents: Pair) -> tuple[Pair, jax.Array, None]:
    embeddings, scale, soft, rows, gathered, gaps = residuals
    cut = settings.cut
    lse = tuple(_map_sides(jnp.add, gap, own) for gap, own in zip(gaps, rows.own, strict=True))
    pull = tuple(_tiling.pad(cut, scale * c) for c in cotangents)
    soft_pull = (
        None if soft is None else _map_sides(jnp.multiply, pull, _tiling.pad(cut, soft.weight))
    )
    known = Residuals(rows.views, lse, pull, soft_pull)
    columns = _tiling.gather(cut, known._replace(views=()))._replace(views=gathered)
    gradients = _second_pass(settings, _scales(scale, soft), gaps, known, columns)
    gradients = tuple(g[: cut.n] for g in gradients)
    # scale dL/dscale = sum_ij S_ij dL/dS_ij = sum_i image_i . dL/dimage_i
    by_scale = (embeddings[0] * gradients[0]).sum() / scale
    cast = tuple(g.astype(e.dtype) for g, e in zip(gradients, embeddings, strict=True))
    return cast, by_scale.astype(scale.dtype), None


row_losses.defvjp(_fwd, _bwd)


def _scales(scale: jax.Array, soft: Soft | None) -> tuple[jax.Array, ...]:
    """Return the multiplier of each view."""
    if soft is None or (soft.teacher is None and soft.temperature is None):
        return (scale,)
    return scale, scale if soft.temperature is None else scale / soft.temperature


def _rows(embeddings: Pair, scales: tuple[jax.Array, ...], soft: Soft | None) -> Rows:
    views = (embeddings, soft and soft.teacher)[: len(scales)]
    own = []
    for scale, view in zip(scales, views, strict=True):
        image, text = (x.astype(_tiling.accumulation_dtype(x)) for x in view or embeddings)
        own.append(scale * (image * text).sum(axis=1))
    return Rows(views, tuple(own))


def _first_pass(
    settings: Settings, scales: tuple[jax.Array, ...], soft: bool, rows: Rows, columns: Rows
) -> Sums:
    """Accumulate the sums of every row over the rows of all devices."""

    def visit(
        here: Rows, there: Rows, hidden: jax.Array | None, mine: Sums, other: Sums | None
    ) -> tuple[Sums, Sums | None]:
        logits = _logits(settings, scales, here.views, there.views, hidden)
        mine = _absorb(settings, mine, logits, here.own, axis=1)
        if other is not None:  # seen from J, the images' side is the texts' side transposed
            logits = tuple(sides[::-1] for sides in logits)
            other = _absorb(settings, other, logits, there.own, axis=0)
        return mine, other

    needs_mean = [False] * (len(scales) - 1) + [soft]
    sums = tuple(
        (empty_sums(own, with_mean=last),) * 2
        for own, last in zip(rows.own, needs_mean, strict=True)
    )
    return _tiling.sweep(settings.cut, visit, sums, rows, columns)


def _logits(
    settings: Settings,
    scales: tuple[jax.Array, ...],
    here: tuple[Pair | None, ...],
    there: tuple[Pair | None, ...],
    hidden: jax.Array | None,
) -> tuple[Pair, ...]:
    """Compute each view's `[I J]` logits, I's images to J's texts and I's texts to J's images."""
    logits = []
    for scale, mine, other in zip(scales, here, there, strict=True):
        if mine is not None:
            products = tuple(
                _tiling.matmul(a, b, (1, 1), settings.precision)
                for a, b in zip(mine, other[::-1], strict=True)
            )
        logits.append(tuple(_tiling.hide_pairs(scale * p, hidden) for p in products))
    return tuple(logits)


def _absorb(
    settings: Settings,
    sums: Sums,
    logits: tuple[Pair, ...],
    own: tuple[jax.Array, ...],
    axis: int,
) -> Sums:
    """Add a tile's logits to the sums, reduced over `axis`."""
    relative = [
        tuple(side - jnp.expand_dims(pair_logit, axis) for side in view)
        for view, pair_logit in zip(logits, own, strict=True)
    ]
    values = relative[0][::-1] if settings.swapped else relative[0]
    return tuple(
        tuple(
            add_tile(side, logit, value, axis)
            for side, logit, value in zip(pair, sides, values, strict=True)
        )
        for pair, sides in zip(sums, relative, strict=True)
    )


def _second_pass(
    settings: Settings,
    scales: tuple[jax.Array, ...],
    gaps: tuple[Pair, ...],
    rows: Residuals,
    columns: Residuals,
) -> Pair:
    """Compute gradients `[padded d]` of the losses, weighted by their cotangents."""

    def visit(
        here: Residuals, there: Residuals, hidden: jax.Array | None, mine: Pair, other: Pair | None
    ) -> tuple[Pair, Pair | None]:
        logits = _logits(settings, scales, here.views, there.views, hidden)
        by_similarity = _coefficients(settings, logits, here, there)
        mine = _pull(mine, by_similarity, there.views[0][::-1], (1, 0), settings.precision)
        if other is not None:
            other = _pull(
                other, by_similarity[::-1], here.views[0][::-1], (0, 0), settings.precision
            )
        return mine, other

    own = _own_coefficients(settings, gaps, rows)[:, None]
    image, text = (x.astype(_tiling.accumulation_dtype(x)) for x in rows.views[0])
    return _tiling.sweep(settings.cut, visit, (own * text, own * image), rows, columns)


def _coefficients(
    settings: Settings, logits: tuple[Pair, ...], here: Residuals, there: Residuals
) -> Pair:
    """Compute each side's `[I J]` gradient with respect to similarity, without own pairs."""
    softmaxes = [
        _softmaxes(view, rows, columns)
        for view, rows, columns in zip(logits, here.lse, there.lse, strict=True)
    ]
    student = _weighted(softmaxes[0], here.pull, there.pull)
    if here.soft_pull is None:
        return student
    soft = softmaxes[-1][::-1] if settings.swapped else softmaxes[-1]
    teacher = _weighted(soft, here.soft_pull, there.soft_pull)
    return student[0] - teacher[0], student[1] - teacher[1]


def _softmaxes(logits: Pair, here: Pair, there: Pair) -> tuple[Pair, Pair]:
    """Compute each side's softmaxes: over J for the rows of I, over I for the columns (J)."""
    return tuple(
        (jnp.exp(side - rows[:, None]), jnp.exp(side - columns))
        for side, rows, columns in zip(logits, here, there[::-1], strict=True)
    )


def _weighted(softmaxes: tuple[Pair, Pair], here: Pair, there: Pair) -> Pair:
    """Add each side's softmaxes, multiplied by the weights of rows and columns."""
    return tuple(
        by_row * rows[:, None] + by_column * columns
        for (by_row, by_column), rows, columns in zip(softmaxes, here, there[::-1], strict=True)
    )


def _own_coefficients(settings: Settings, gaps: tuple[Pair, ...], rows: Residuals) -> jax.Array:
    """Compute `[padded]`, the gradient with respect to the own pair's similarity.

    A row's share is softmax - target, and softmax_ii - 1 = expm1(-gap_i) keeps its digits.
    """
    student = sum(p * jnp.expm1(-gap) for p, gap in zip(rows.pull, gaps[0], strict=True))
    if rows.soft_pull is None:
        return student
    teachers = gaps[-1][::-1] if settings.swapped else gaps[-1]
    return student - sum(
        p * jnp.expm1(-gap) for p, gap in zip(rows.soft_pull, teachers, strict=True)
    )


def _pull(
    mine: Pair, by_similarity: Pair, others: Pair, contract: tuple[int, int], precision: str
) -> Pair:
    return tuple(
        g + _tiling.matmul(c.astype(x.dtype), x, contract, precision)
        for g, c, x in zip(mine, by_similarity, others, strict=True)
    )


def _map_sides(function: Callable[..., jax.Array], pair: tuple, row: jax.Array) -> Pair:
    return function(pair[0], row), function(pair[1], row)
