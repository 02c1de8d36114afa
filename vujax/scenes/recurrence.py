"""Recurring shots and settings in films.

Near-duplicate shots of different episodes: the angles between each shot and the nearest shot of the
other episodes are split by Otsu's threshold (1979), which maximizes the variance between the two
classes. Where nothing is repeated there is only one class; therefore near-duplicates must also be
more similar than OWN_QUANTILE of all shots are to the nearest shot of their own film, and mutual
nearest neighbors.

Recurring settings, the scenes at one place with one cast: the similarity of two scenes is the mean
of their shots' best cosines with the shots of the other scene, both scenes weighted equally. The
threshold is estimated from the films: the two halves of a scene are typical of one setting,
neighboring scenes of two. Scenes are clustered by average linkage, and the tree is cut at
CUT_FRACTION of the way from the similarity of neighboring scenes to that of halves.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

OWN_QUANTILE = 0.6
CUT_FRACTION = 0.5
MIN_HALF_SHOTS = 2  # of half a scene


def center(vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Center embeddings on their common mean and normalize them.

    Args:
      vectors: `[n d]` of each film.

    Returns:
      float32 `[n d]` of each film, unit vectors; zeros for embeddings that equal the mean.
    """
    mean = np.mean([np.mean(v, axis=0, dtype=np.float64) for v in vectors], axis=0)
    mean = mean.astype(np.float32)
    min_norm = 1e-5 * max(float(np.linalg.norm(mean)), 1e-30)  # less is rounding
    units = []
    for v in vectors:
        centered = np.asarray(v, np.float32) - mean
        norms = np.linalg.norm(centered, axis=1, keepdims=True)
        units.append(np.where(norms > min_norm, centered / np.maximum(norms, min_norm), 0))
    return units


def estimate_duplicate_cosine(unit: Sequence[np.ndarray]) -> float:
    """Estimate the minimum cosine of near-duplicate shots of different episodes.

    Args:
      unit: unit vectors `[n d]` of each episode.
    """
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


def find_duplicates(cosines: np.ndarray, duplicate: float) -> np.ndarray:
    """Return a mask of the near-duplicates, which are mutual nearest neighbors, bool `[a b]`.

    Args:
      cosines: cosines of the shots of two episodes, `[a b]`.
      duplicate: minimum cosine.
    """
    mutual = (cosines == cosines.max(axis=1, keepdims=True)) & (cosines == cosines.max(axis=0))
    return mutual & (cosines >= duplicate)


def group_settings(
    films: Sequence[Sequence[np.ndarray]],
) -> tuple[list[list[int | None]], float | None]:
    """Group the scenes of films by setting.

    Args:
      films: scenes of each film in order; a scene is the unit vectors `[k d]` of its shots, and an
        empty scene is left out.

    Returns:
      The group of each scene, numbered by first appearance, None for empty scenes; and the minimum
      similarity within a group, None for fewer than two scenes.
    """
    groups: list[list[int | None]] = [[None] * len(scenes) for scenes in films]
    filled = [
        (f, s) for f, scenes in enumerate(films) for s, shots in enumerate(scenes) if len(shots)
    ]
    if len(filled) < 2:
        for film, scene in filled:
            groups[film][scene] = 0
        return groups, None
    by_film = [[shots for shots in scenes if len(shots)] for scenes in films]
    similarities = compute_similarities(by_film)
    adjacent = [k for k, (a, b) in enumerate(pairwise(filled)) if a[0] == b[0]]
    threshold = _estimate_threshold(
        similarities, adjacent, [shots for scenes in by_film for shots in scenes]
    )
    clusters = _cluster(similarities, threshold)
    for (film, scene), group in zip(filled, clusters, strict=True):
        groups[film][scene] = group
    return groups, threshold


def compute_similarities(films: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Compute the similarities of all scenes of all films, float32 `[scenes scenes]`.

    The shots of two films are compared at a time.
    """
    ends = np.cumsum([0, *(len(scenes) for scenes in films)])
    similarities = np.zeros((ends[-1], ends[-1]), np.float32)
    for i, a in enumerate(films):
        for j, b in enumerate(films[: i + 1]):
            if a and b:
                block = _compare(a, b)
                similarities[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] = block
                similarities[ends[j] : ends[j + 1], ends[i] : ends[i + 1]] = block.T
    return similarities


def _compare(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> np.ndarray:
    """Compute the similarities of scenes, float32 `[a b]`."""
    cosines = np.concatenate(a) @ np.concatenate(b).T
    sizes_a, sizes_b = (np.array([len(shots) for shots in scenes]) for scenes in (a, b))
    starts_a, starts_b = (np.cumsum(sizes) - sizes for sizes in (sizes_a, sizes_b))
    best_in_b = np.maximum.reduceat(cosines, starts_b, axis=1)  # per shot of a and scene of b
    best_in_a = np.maximum.reduceat(cosines, starts_a, axis=0)
    a_to_b = np.add.reduceat(best_in_b, starts_a, axis=0) / sizes_a[:, None]
    b_to_a = np.add.reduceat(best_in_a, starts_b, axis=1) / sizes_b
    return (a_to_b + b_to_a) / 2


def _estimate_threshold(
    similarities: np.ndarray, adjacent: Sequence[int], scenes: Iterable[np.ndarray]
) -> float:
    """Estimate the minimum similarity of scenes of one setting.

    Args:
      similarities: `[scenes scenes]`.
      adjacent: k where scenes k and k + 1 belong to one film.
      scenes: unit vectors of the shots of each scene.
    """
    halves = [
        _compare([shots[: len(shots) // 2]], [shots[len(shots) // 2 :]])[0, 0]
        for shots in scenes
        if len(shots) >= 2 * MIN_HALF_SHOTS
    ]
    neighbors = [similarities[k, k + 1] for k in adjacent]
    if not neighbors:
        neighbors = similarities[np.triu_indices(len(similarities), 1)]
    same, different = (float(np.median(x)) if len(x) else 1.0 for x in (halves, neighbors))
    return different + CUT_FRACTION * max(same - different, 0.0)


def _cluster(similarities: np.ndarray, threshold: float) -> list[int]:
    from scipy.cluster.hierarchy import fcluster, linkage  # slow to import

    upper = similarities[np.triu_indices(len(similarities), 1)].astype(np.float64)
    distances = np.maximum(1.0 - upper, 0.0)
    clusters = fcluster(linkage(distances, "average"), 1.0 - threshold, "distance").tolist()
    order = {cluster: k for k, cluster in enumerate(dict.fromkeys(clusters))}
    return [order[cluster] for cluster in clusters]


def _otsu(values: np.ndarray) -> float:
    """Return the threshold with the maximum variance between the two classes."""
    ranked = np.sort(values.astype(np.float64))
    below = np.arange(1, len(ranked))
    sums = np.cumsum(ranked)
    difference = sums[:-1] / below - (sums[-1] - sums[:-1]) / (len(ranked) - below)
    k = int(np.argmax(below * (len(ranked) - below) * difference**2))
    return float(ranked[k] + ranked[k + 1]) / 2
