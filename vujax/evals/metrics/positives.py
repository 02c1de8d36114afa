"""Statistics of ShotCoL's nearest positives: near copies, shot/reverse-shot, connectivity.

    measure_positives([film_vectors, ...], neighbours=4)

Contrastive learning brings the shots of an island together: shots that positives connect, in one
step or several. An island is smaller than a scene if the nearest neighbor is always the same
camera, and it joins scenes if positives cross their boundaries.
"""

from collections.abc import Sequence

import numpy as np

from vujax.data.shot_similarity import compute_cosine_band

NEAR_COPY = 0.9


def measure_positives(
    films: Sequence[np.ndarray], *, neighbours: int, near_copy: float = NEAR_COPY
) -> dict[str, float]:
    """Measure the nearest positives of films.

    Args:
      films: shot embeddings of each film, `[n d]`; films of one shot have no positives.
      neighbours: candidates on each side, fewer at the film's ends.
      near_copy: cosine above which a positive is a near copy.

    Returns:
      'near_copies' and 'even_lags', shares of the positives; 'islands', per 100 shots. NaN without
      positives.

    Raises:
      ValueError: `neighbours` is not positive, or a value is not finite.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}")
    cosines, lags, islands, shots = [], [], 0, 0
    for vectors in films:
        if len(vectors) > 1:
            positive, cosine = select_nearest(vectors, neighbours)
            cosines.append(cosine)
            lags.append(np.abs(positive - np.arange(len(positive))))
            islands += count_islands(positive)
            shots += len(positive)
    if not shots:
        return dict.fromkeys(("near_copies", "even_lags", "islands"), float("nan"))
    return {
        "near_copies": float((np.concatenate(cosines) > near_copy).mean()),
        "even_lags": float((np.concatenate(lags) % 2 == 0).mean()),
        "islands": 100 * islands / shots,
    }


def select_nearest(vectors: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the most similar neighbor of each shot, int64 `[n]`, and its cosine `[n]`.

    Of equally similar ones it is the earlier one.

    Args:
      vectors: shot embeddings `[n d]`, n at least 2.
      neighbours: candidates on each side.
    """
    n, band = len(vectors), compute_cosine_band(vectors, neighbours)
    offsets = np.array([*range(-neighbours, 0), *range(1, neighbours + 1)])
    table = np.full((n, 2 * neighbours), -np.inf)
    for lag in range(1, min(neighbours, n - 1) + 1):
        table[:-lag, neighbours + lag - 1] = table[lag:, neighbours - lag] = band[:-lag, lag - 1]
    best = table.argmax(axis=1)
    return np.arange(n) + offsets[best], table.max(axis=1)


def count_islands(positive: np.ndarray) -> int:
    """Count the connected components of shots `[n]` that are linked to their positives."""
    from scipy.sparse import coo_array  # slow to import
    from scipy.sparse.csgraph import connected_components

    n = len(positive)
    links = coo_array((np.ones(n), (np.arange(n), positive)), shape=(n, n))
    return int(connected_components(links, directed=False, return_labels=False))
