"""Checks of the arguments of losses, with one sentence that names the loss and the argument.

Values are checked where they are known: a number, or an array outside of `jit`. What is traced has
a shape and a dtype only.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Pair = tuple[jax.Array, jax.Array]


def check_rows(loss: str, embeddings: Pair, teacher: Pair | None = None) -> None:
    """Check that all arrays are floating-point `[n d]` with n > 0 and equal n and d.

    Raises:
      ValueError: they are not.
    """
    arrays = [*embeddings, *(teacher or ())]
    shapes = [x.shape for x in arrays]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2 or 0 in shapes[0]:
        raise ValueError(
            f"{loss}: embeddings have shapes {shapes}, expected rows [n d] of equal shape"
        )
    dtypes = [str(x.dtype) for x in arrays]
    if not all(jnp.issubdtype(dtype, jnp.floating) for dtype in dtypes):
        raise ValueError(f"{loss}: embeddings have dtypes {dtypes}, expected floating-point ones")


def check_mask(loss: str, name: str, mask: jax.Array, rows: int) -> None:
    """Check that a mask is bool `[rows]`.

    Raises:
      ValueError: it is not.
    """
    if mask.shape != (rows,) or mask.dtype != bool:
        raise ValueError(
            f"{loss}: {name} is {mask.dtype} {list(mask.shape)}, expected bool [{rows}]"
        )


def check_number(loss: str, name: str, value: Any, interval: str = "(-inf, inf)") -> None:
    """Check that a value is a scalar in an interval.

    Args:
      loss: name of the loss.
      name: name of its argument.
      value: number or array `()`.
      interval: such as '[0, 1)'.

    Raises:
      ValueError: it is not.
    """
    if np.shape(value) != ():
        raise ValueError(f"{loss}: {name} has shape {list(np.shape(value))}, expected one number")
    if isinstance(value, jax.core.Tracer):
        return
    number = float(value)
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = low <= number if interval[0] == "[" else low < number
    below = number <= high if interval[-1] == "]" else number < high
    if not (above and below):
        raise ValueError(f"{loss}: {name} must be in {interval}, got {number:g}")


def check_tile(loss: str, tile: int | None) -> None:
    """Check that a number of rows is a positive integer or None.

    Raises:
      ValueError: it is not.
    """
    if tile is not None and (isinstance(tile, bool) or not isinstance(tile, int) or tile < 1):
        raise ValueError(f"{loss}: tile must be a whole number of at least 1, got {tile!r}")
