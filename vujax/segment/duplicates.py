"""Near-duplicates: the same shot shown again, in another episode.

The angles between each shot and the nearest one of the other episodes are of two kinds, and Otsu's
threshold parts them (1979: the one with the most variance between the two). Where nothing is
repeated there is one kind only: so near-duplicates must also be more alike than OWN of all shots
are to the nearest one of their own film, and each the likest of the other.
"""

from collections.abc import Sequence

import numpy as np

OWN = 0.6


def centred(vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Centred on the series and of length 1, float32; zeros for what is just the mean."""
    mean = np.mean([np.mean(v, axis=0, dtype=np.float64) for v in vectors], axis=0)
    mean = mean.astype(np.float32)
    least = 1e-5 * max(float(np.linalg.norm(mean)), 1e-30)  # less is rounding
    units = []
    for v in vectors:
        moved = np.asarray(v, np.float32) - mean
        norms = np.linalg.norm(moved, axis=1, keepdims=True)
        units.append(np.where(norms > least, moved / np.maximum(norms, least), 0))
    return units


def duplicate_cosine(unit: Sequence[np.ndarray]) -> float:
    """The cosine from which on two shots of different episodes are near-duplicates."""
    other, own = ([np.full(len(u), -1.0, np.float32) for u in unit] for _ in range(2))
    for i, a in enumerate(unit):
        within = a @ a.T
        np.fill_diagonal(within, -1.0)
        own[i] = within.max(axis=1)
        for j in range(i):
            cosines = a @ unit[j].T
            np.maximum(other[i], cosines.max(axis=1), out=other[i])
            np.maximum(other[j], cosines.max(axis=0), out=other[j])
    angles = np.arccos(np.clip(np.concatenate(other), -1.0, 1.0))
    return float(max(np.cos(_otsu(angles)), np.quantile(np.concatenate(own), OWN)))


def _otsu(values: np.ndarray) -> float:
    """The threshold that parts values into two kinds with the most variance between them."""
    ranked = np.sort(values.astype(np.float64))
    below = np.arange(1, len(ranked))
    sums = np.cumsum(ranked)
    apart = sums[:-1] / below - (sums[-1] - sums[:-1]) / (len(ranked) - below)
    k = int(np.argmax(below * (len(ranked) - below) * apart**2))
    return float(ranked[k] + ranked[k + 1]) / 2


def repeated(cosines: np.ndarray, duplicate: float) -> np.ndarray:
    """Which shots, of cosines `[a b]`, are near-duplicates and each the likest of the other."""
    mutual = (cosines == cosines.max(axis=1, keepdims=True)) & (cosines == cosines.max(axis=0))
    return mutual & (cosines >= duplicate)
