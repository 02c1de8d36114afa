"""Geometric consistency of two modalities (CyCLIP), without an N x N matrix."""

import jax
from jax import lax

from vujax.losses import _checks, _tiling


def cyclip(
    image: jax.Array,
    text: jax.Array,
    *,
    in_modal: float = 0.25,
    cross_modal: float = 0.25,
    axis_name: str | None = None,
    precision: str = "highest",
) -> jax.Array:
    """Compute CyCLIP's regularizers (Goel et al. 2022, arXiv:2205.14459), to add to `info_nce`.

        in_modal / N * sum_ij (image_i . image_j - text_i . text_j)^2
        + cross_modal / N * sum_ij (image_i . text_j - image_j . text_i)^2

    These are cosines, without a scale. With C = (image + text) / 2 and D = image - text (rows), the
    two brackets are the entries of CD' + DC' and of DC' - CD', whose squares sum to

        2 (<C'C, D'D> + <C'D, D'C>)   and   2 (<C'C, D'D> - <C'D, D'C>):

    three products of d x d, small where the modalities agree rather than differences of large sums.

    Args:
      image: unit-length embeddings `[n d]`.
      text: unit-length embeddings `[n d]`; row i belongs to row i of `image`.
      in_modal: weight of the first term.
      cross_modal: weight of the second term.
      axis_name: None: the arrays are the global batch. A mesh axis: they are one device's rows in
        shard_map, and the value is this device's share, as in `soft_alignment`.
      precision: of the products.

    Returns:
      `()` float32, the loss or this device's share of it.

    Raises:
      ValueError: a shape, a dtype or a number that is not traced is not valid.
    """
    _checks.check_rows("cyclip", (image, text))
    for name, weight in (("in_modal", in_modal), ("cross_modal", cross_modal)):
        _checks.check_number("cyclip", name, weight, "[0, inf)")
    image, text = (x.astype(_tiling.accumulation_dtype(x)) for x in (image, text))
    center, difference = (image + text) / 2, image - text

    def gram(a: jax.Array, b: jax.Array) -> jax.Array:
        product = _tiling.matmul(a, b, (0, 0), precision)
        return product if axis_name is None else lax.psum(product, axis_name)

    mixed = gram(center, difference)
    apart = 2 * (gram(center, center) * gram(difference, difference)).sum()
    turned = 2 * (mixed * mixed.T).sum()
    loss = in_modal * (apart + turned) + cross_modal * (apart - turned)
    if axis_name is None:
        return loss / len(image)
    devices = lax.axis_size(axis_name)
    return lax.pcast(loss / (len(image) * devices**2), axis_name, to="varying")
