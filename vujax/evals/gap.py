"""A score of borders that needs no labels."""

import numpy as np

from vujax.data.local_similarity import cosine_band


def gap_scores(vectors: np.ndarray, reach: int = 4) -> np.ndarray:
    """1 - the best cosine between the shots before a border and those after it.

    A scene returns to its places and people, so a shot inside it resembles one a few shots away;
    across the border of two scenes no shot resembles any.

    Args:
      vectors: `[n d]`, one per shot, of any length; zeros are like zeros only.
      reach: shots on each side; fewer at the film's ends.

    Returns:
      float32 `[n-1]`, 0 (the same) to 2; empty for one shot.

    Raises:
      ValueError: no shot, or a number that is not finite.
    """
    if reach < 1:
        raise ValueError(f"the reach must be at least 1 shot, not {reach}")
    band = cosine_band(vectors, 2 * reach - 1)
    borders = len(band) - 1
    best = np.full(borders, -1.0, np.float32)
    for back in range(min(reach, borders)):  # the first shot of the pair is border - back
        for lag in range(back + 1, back + reach + 1):
            np.fmax(best[back:], band[: borders - back, lag - 1], out=best[back:])
    return np.maximum(1 - best, 0)
