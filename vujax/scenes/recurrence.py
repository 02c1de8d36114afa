"""Near-duplicates: the same shot shown again, in another episode.

The angles between each shot and the nearest one of the other episodes are of two kinds, and Otsu's
threshold parts them (1979: the one with the most variance between the two). Where nothing is
repeated there is one kind only: so near-duplicates must also be more alike than OWN of all shots
are to the nearest one of their own film, and each the likest of the other.

Scenes that return: which scenes of one or several films are at one place with one cast.

The similarity of two scenes is the mean of their shots' best cosines with the other scene's shots,
each scene counting half. What is similar enough is learned from the films: the first and the second
halves of scenes are typical of one setting, neighbouring scenes of two. Scenes are clustered by
average linkage, and the tree is cut SAME of the way from the second to the first.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

OWN_QUANTILE = 0.6


def center(vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
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


def estimate_duplicate_cosine(unit: Sequence[np.ndarray]) -> float:
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
    return float(max(np.cos(_otsu(angles)), np.quantile(np.concatenate(own), OWN_QUANTILE)))


def _otsu(values: np.ndarray) -> float:
    """The threshold that parts values into two kinds with the most variance between them."""
    ranked = np.sort(values.astype(np.float64))
    below = np.arange(1, len(ranked))
    sums = np.cumsum(ranked)
    apart = sums[:-1] / below - (sums[-1] - sums[:-1]) / (len(ranked) - below)
    k = int(np.argmax(below * (len(ranked) - below) * apart**2))
    return float(ranked[k] + ranked[k + 1]) / 2


def find_duplicates(cosines: np.ndarray, duplicate: float) -> np.ndarray:
    """Which shots, of cosines `[a b]`, are near-duplicates and each the likest of the other."""
    mutual = (cosines == cosines.max(axis=1, keepdims=True)) & (cosines == cosines.max(axis=0))
    return mutual & (cosines >= duplicate)


CUT_FRACTION = 0.5

MIN_HALF_SHOTS = 2  # shots of half a scene


def group_settings(
    films: Sequence[Sequence[np.ndarray]],
) -> tuple[list[list[int | None]], float | None]:
    """Groups scenes.

    Args:
      films: for each the scenes in order, and of each scene the unit vectors `[k d]` of its shots;
        a scene without any is left out.

    Returns:
      The group of each scene, counted in the order of appearance, None for those left out; and the
      similarity at which the tree was cut, None where there was nothing to compare.
    """
    groups: list[list[int | None]] = [[None] * len(scenes) for scenes in films]
    told = [
        (f, s) for f, scenes in enumerate(films) for s, shots in enumerate(scenes) if len(shots)
    ]
    if len(told) < 2:
        for film, scene in told:
            groups[film][scene] = 0
        return groups, None
    kept = [[shots for shots in scenes if len(shots)] for scenes in films]
    alike = compute_similarities(kept)
    next_to = [k for k, (a, b) in enumerate(pairwise(told)) if a[0] == b[0]]
    same = _threshold(alike, next_to, [shots for scenes in kept for shots in scenes])
    for (film, scene), group in zip(told, _clusters(alike, same), strict=True):
        groups[film][scene] = group
    return groups, same


def compute_similarities(films: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Of all scenes of all films with each other, float32 `[scenes scenes]`.

    Two films' shots are compared at a time.
    """
    ends = np.cumsum([0, *(len(scenes) for scenes in films)])
    alike = np.zeros((ends[-1], ends[-1]), np.float32)
    for i, a in enumerate(films):
        for j, b in enumerate(films[: i + 1]):
            if a and b:
                block = _compare(a, b)
                alike[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] = block
                alike[ends[j] : ends[j + 1], ends[i] : ends[i + 1]] = block.T
    return alike


def _compare(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> np.ndarray:
    cosines = np.concatenate(a) @ np.concatenate(b).T
    rows, columns = (np.array([len(shots) for shots in scenes]) for scenes in (a, b))
    begins, starts = (np.cumsum(sizes) - sizes for sizes in (rows, columns))
    best_in_b = np.maximum.reduceat(cosines, starts, axis=1)  # of each shot of a, in each scene
    best_in_a = np.maximum.reduceat(cosines, begins, axis=0)
    there = np.add.reduceat(best_in_b, begins, axis=0) / rows[:, None]
    back = np.add.reduceat(best_in_a, starts, axis=1) / columns
    return (there + back) / 2


def _threshold(alike: np.ndarray, next_to: Sequence[int], scenes: Iterable[np.ndarray]) -> float:
    halves = [
        _compare([shots[: len(shots) // 2]], [shots[len(shots) // 2 :]])[0, 0]
        for shots in scenes
        if len(shots) >= 2 * MIN_HALF_SHOTS
    ]
    neighbours = [alike[k, k + 1] for k in next_to] or alike[np.triu_indices(len(alike), 1)]
    one, two = (float(np.median(of)) if len(of) else 1.0 for of in (halves, neighbours))
    return two + CUT_FRACTION * max(one - two, 0.0)


def _clusters(alike: np.ndarray, same: float) -> list[int]:
    from scipy.cluster.hierarchy import fcluster, linkage  # takes a moment to import

    away = np.maximum(1.0 - alike[np.triu_indices(len(alike), 1)].astype(np.float64), 0.0)
    found = fcluster(linkage(away, "average"), 1.0 - same, "distance").tolist()
    order = {cluster: k for k, cluster in enumerate(dict.fromkeys(found))}
    return [order[cluster] for cluster in found]
