"""Operations on numpy arrays."""

import numpy as np


def l2_normalize(rows: np.ndarray) -> np.ndarray:
    """Return `rows` scaled to unit length along the last axis; a zero row stays zero.

    The dtype is kept. The JAX counterpart is `vujax.models.layers.l2_normalize`.

    Args:
      rows: float `[... d]`.
    """
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def find_runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return start and end (exclusive) of every run of True in bool `[n]`."""
    steps = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))
