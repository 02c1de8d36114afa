"""Part of the evaluations."""

import numpy as np


def color_histograms(images: np.ndarray, bins: int = 6) -> np.ndarray:
    """Joint RGB histograms of uint8 [n h w 3]: float32 [n bins**3], each of unit length.

    Square roots of shares, so that a dot product is the Bhattacharyya coefficient.
    """
    code = (images.astype(np.int32) * bins) >> 8
    code = (code[..., 0] * bins + code[..., 1]) * bins + code[..., 2]
    counts = [np.bincount(c.ravel(), minlength=bins**3) for c in code]
    return np.sqrt(np.stack(counts) / code[0].size).astype(np.float32)
