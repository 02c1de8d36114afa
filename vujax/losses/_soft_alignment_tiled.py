"""Cross-entropy of every image row and every text row of a batch, exact, tiled and sharded.

With S_ij = scale * image_i . text_j, row i of the images has the loss

    loss_i = gap_i - w_i sum_j q_ij (S_ij - S_ii),    gap_i = logsumexp_j S_ij - S_ii,

the cross-entropy of softmax_j S_ij against the target (1 - w_i) one-hot_i + w_i q_i; the texts have
the same with S transposed. All is relative to the row's own pair, and gap is log(1 + sum over the
others of exp(S_ij - S_ii)), so that a loss near zero keeps its digits.

The first pass accumulates logsumexps and means, the last recomputes the tiles for the gradient. It
has every softmax from the logsumexps, so of other devices it needs only these and the embeddings.

Own columns, q_ij proportional to exp(T_ij - c_j), need one more pass between the two: c_j is the
logsumexp of text j's row, known after the first. Relative to the own pair the exponent is
T_ij - c_j + gap of text i's row, because T_ii - c_i is minus that gap.

A `Pair` holds a value for the images' side and one for the texts' side. A view is a similarity
matrix: the student's, and the teacher's where it differs. The last view gives the soft targets.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vujax.losses import _tiling
from vujax.losses._online_softmax import (
    RunningSums,
    add_tile,
    compute_gap,
    compute_mean,
    empty_sums,
)
from vujax.losses._tiling import Pair, Tree

Sums = tuple[tuple[RunningSums, RunningSums], ...]  # of each view's sides


class Settings(NamedTuple):
    """Static settings of the compiled passes.

    Attributes:
      cut: layout of the rows.
      target: 'plain', 'swapped_rows', 'own_columns' or 'half_columns' (see `soft_alignment`).
      precision: of the matrix products of embeddings.
    """

    cut: _tiling.Layout
    target: str
    precision: str

    @property
    def has_row_targets(self) -> bool:
        """True if a softmax over a row of either side is a part of the targets."""
        return self.target != "own_columns"

    @property
    def has_column_targets(self) -> bool:
        """True if the own columns are a part of the targets."""
        return self.target in ("own_columns", "half_columns")

    def align_sides(self, rows: tuple) -> tuple:
        """Return the rows' values in the order of the targets that they give: (images, texts)."""
        return rows[::-1] if self.target == "swapped_rows" else rows


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


class Columns(NamedTuple):
    """Inputs of the pass for own columns per row.

    Attributes:
      views: as in `Rows`.
      own: `[n]`, the student's logit of the row's own pair.
      gap: of the teacher's logsumexp, per side.
      lse: the teacher's logsumexp, per side.
    """

    views: tuple[Pair | None, ...]
    own: jax.Array
    gap: Pair
    lse: Pair


class Residuals(NamedTuple):
    """Inputs of the last pass per row.

    Attributes:
      views: as in `Rows`.
      lse: logsumexp per view and side.
      offset: own columns are exp(T_ij - lse_j - offset_i), per side; None without them.
      pull: scale * cotangent of the row's loss, per side.
      soft_pull: weight * pull, or None without soft targets.
    """

    views: tuple[Pair | None, ...]
    lse: tuple[Pair, ...]
    offset: Pair | None
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
    losses, column_gaps = tuple(gap[:n] for gap in gaps[0]), None
    if soft is not None:
        parts = []
        if settings.has_row_targets:
            parts.append(settings.align_sides(tuple(compute_mean(side) for side in sums[-1])))
        if settings.has_column_targets:
            column_sums = _column_pass(settings, scales, gaps[-1], rows, columns.views)
            column_gaps = tuple(compute_gap(side) for side in column_sums)
            parts.append(tuple(compute_mean(side) for side in column_sums))
        losses = tuple(
            loss - soft.weight * mean[:n]
            for loss, mean in zip(losses, _average(parts), strict=True)
        )
    return losses, (embeddings, scale, soft, rows, columns.views, gaps, column_gaps)


def _bwd(settings: Settings, residuals: tuple, cotangents: Pair) -> tuple[Pair, jax.Array, None]:
    embeddings, scale, soft, rows, gathered, gaps, column_gaps = residuals
    cut = settings.cut
    lse = tuple(_map_sides(jnp.add, gap, own) for gap, own in zip(gaps, rows.own, strict=True))
    pull = tuple(_tiling.pad(cut, scale * c) for c in cotangents)
    soft_pull = (
        None if soft is None else _map_sides(jnp.multiply, pull, _tiling.pad(cut, soft.weight))
    )
    offset = column_gaps and tuple(map(jnp.subtract, column_gaps, gaps[-1][::-1]))
    known = Residuals(rows.views, lse, offset, pull, soft_pull)
    columns = _tiling.gather(cut, known._replace(views=()))._replace(views=gathered)
    own = _own_coefficients(settings, gaps, column_gaps, known)
    gradients = _last_pass(settings, _scales(scale, soft), own, known, columns)
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

    needs_mean = [False] * (len(scales) - 1) + [soft and settings.has_row_targets]
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
    values = settings.align_sides(relative[0])
    return tuple(
        tuple(
            add_tile(side, logit, value, axis)
            for side, logit, value in zip(pair, sides, values, strict=True)
        )
        for pair, sides in zip(sums, relative, strict=True)
    )


def _column_pass(
    settings: Settings,
    scales: tuple[jax.Array, ...],
    gap: Pair,
    rows: Rows,
    gathered: tuple[Pair | None, ...],
) -> tuple[RunningSums, RunningSums]:
    """Accumulate the sums of each side's own columns, given the teacher's logsumexps."""

    def visit(
        here: Columns, there: Columns, hidden: jax.Array | None, mine: Tree, other: Tree
    ) -> tuple[Tree, Tree]:
        logits = _logits(settings, scales, here.views, there.views, hidden)
        mine = _absorb_columns(mine, logits, here, there, axis=1)
        if other is not None:
            logits = tuple(sides[::-1] for sides in logits)
            other = _absorb_columns(other, logits, there, here, axis=0)
        return mine, other

    known = Columns(rows.views, rows.own[0], gap, _map_sides(jnp.add, gap, rows.own[-1]))
    columns = _tiling.gather(settings.cut, known._replace(views=()))._replace(views=gathered)
    sums = tuple(empty_sums(side, with_mean=True) for side in gap)
    return _tiling.sweep(settings.cut, visit, sums, known, columns)


def _absorb_columns(
    sums: tuple[RunningSums, RunningSums],
    logits: tuple[Pair, ...],
    rows: Columns,
    columns: Columns,
    axis: int,
) -> tuple[RunningSums, RunningSums]:
    """Add a tile's logits, less their columns' logsumexps, to the sums, reduced over `axis`."""
    own = jnp.expand_dims(rows.own, axis)
    return tuple(
        add_tile(
            side,
            logit - jnp.expand_dims(lse, 1 - axis) + jnp.expand_dims(gap, axis),
            value - own,
            axis,
        )
        for side, logit, value, lse, gap in zip(
            sums, logits[-1], logits[0], columns.lse[::-1], rows.gap[::-1], strict=True
        )
    )


def _last_pass(
    settings: Settings,
    scales: tuple[jax.Array, ...],
    own: jax.Array,
    rows: Residuals,
    columns: Residuals,
) -> Pair:
    """Compute gradients `[padded d]` of the losses, weighted by their cotangents.

    Own pairs enter by `own`, `[padded]`.
    """

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

    image, text = (x.astype(_tiling.accumulation_dtype(x)) for x in rows.views[0])
    start = own[:, None] * text, own[:, None] * image
    return _tiling.sweep(settings.cut, visit, start, rows, columns)


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
    parts = [settings.align_sides(softmaxes[-1])] if settings.has_row_targets else []
    if settings.has_column_targets:
        parts.append(_column_targets(logits[-1], here, there))
    teacher = _weighted(_average(parts), here.soft_pull, there.soft_pull)
    return student[0] - teacher[0], student[1] - teacher[1]


def _softmaxes(logits: Pair, here: Pair, there: Pair) -> tuple[Pair, Pair]:
    """Compute each side's softmaxes: over J for the rows of I, over I for the columns (J)."""
    return tuple(
        (jnp.exp(side - rows[:, None]), jnp.exp(side - columns))
        for side, rows, columns in zip(logits, here, there[::-1], strict=True)
    )


def _column_targets(logits: Pair, here: Residuals, there: Residuals) -> tuple[Pair, Pair]:
    """Compute each side's own columns: of the rows of I over J, and of J over I."""
    return tuple(
        (jnp.exp(side - their_lse - offset[:, None]), jnp.exp(side - lse[:, None] - their_offset))
        for side, lse, offset, their_lse, their_offset in zip(
            logits,
            here.lse[-1],
            here.offset,
            there.lse[-1][::-1],
            there.offset[::-1],
            strict=True,
        )
    )


def _weighted(softmaxes: tuple[Pair, Pair], here: Pair, there: Pair) -> Pair:
    """Add each side's softmaxes, multiplied by the weights of rows and columns."""
    return tuple(
        by_row * rows[:, None] + by_column * columns
        for (by_row, by_column), rows, columns in zip(softmaxes, here, there[::-1], strict=True)
    )


def _own_coefficients(
    settings: Settings, gaps: tuple[Pair, ...], column_gaps: Pair | None, rows: Residuals
) -> jax.Array:
    """Compute `[padded]`, the gradient with respect to the own pair's similarity.

    A row's share is softmax - target, and softmax_ii - 1 = expm1(-gap_i) keeps its digits.
    """
    student = sum(p * jnp.expm1(-gap) for p, gap in zip(rows.pull, gaps[0], strict=True))
    if rows.soft_pull is None:
        return student
    parts = [settings.align_sides(gaps[-1])] if settings.has_row_targets else []
    if column_gaps is not None:
        parts.append(column_gaps)
    misses = _average([tuple(jnp.expm1(-gap) for gap in sides) for sides in parts])
    return student - sum(p * miss for p, miss in zip(rows.soft_pull, misses, strict=True))


def _pull(
    mine: Pair, by_similarity: Pair, others: Pair, contract: tuple[int, int], precision: str
) -> Pair:
    return tuple(
        g + _tiling.matmul(c.astype(x.dtype), x, contract, precision)
        for g, c, x in zip(mine, by_similarity, others, strict=True)
    )


def _map_sides(function: Callable[..., jax.Array], pair: tuple, row: jax.Array) -> Pair:
    return function(pair[0], row), function(pair[1], row)


def _average(parts: list[Tree]) -> Tree:
    """Average the parts of the targets, leaf by leaf."""
    if len(parts) == 1:
        return parts[0]
    return jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *parts)
