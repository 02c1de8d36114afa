"""Operations on numpy arrays of embeddings."""

import numpy as np


def l2_normalize(rows: np.ndarray) -> np.ndarray:
    """Return `rows` scaled to unit length along the last axis; a zero row stays zero.

    The dtype is kept. The JAX counterpart is `vujax.models.layers.l2_normalize`.

    Args:
      rows: float `[... d]`.
    """
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
