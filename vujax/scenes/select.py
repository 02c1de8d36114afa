"""Selection of scene boundaries among shot boundaries: by threshold, prominence or number."""

import bisect

import numpy as np

from vujax.data.shot_similarity import compute_gap_scores, normalize_rows

FLAT = 1e-6  # standard deviation of scores that are equal except for rounding
MAX_CANDIDATES = 3000  # boundaries that `select_k_scenes` considers: two tables of 70 MB


def select_by_threshold(
    scores: np.ndarray, seconds: np.ndarray, *, threshold: float, min_duration: float = 0.0
) -> np.ndarray:
    """Select the boundaries whose score is above a threshold.

    Args:
      scores: scores of the shot boundaries, float `[n-1]`.
      seconds: start and end of each shot, float64 `[n 2]`.
      threshold: exclusive minimum score.
      min_duration: see `enforce_min_duration`.

    Returns:
      int64 `[k]`, increasing: a scene starts with shot boundary + 1.

    Raises:
      ValueError: shapes do not match, or a value is not finite.
    """
    scores, seconds = _checked(scores, seconds)
    return enforce_min_duration(np.flatnonzero(scores > threshold), scores, seconds, min_duration)


def select_by_prominence(
    scores: np.ndarray,
    seconds: np.ndarray,
    *,
    prominence: float = 0.75,
    min_duration: float = 0.0,
) -> np.ndarray:
    """Select prominent peaks, for scores without a meaningful threshold.

    The prominence of a peak is the descent that is necessary to reach a higher one; beyond the ends
    of the film the score is its minimum. A run of equal scores is one peak, in its middle.

    Args:
      scores: scores of the shot boundaries, float `[n-1]`.
      seconds: start and end of each shot, float64 `[n 2]`.
      prominence: minimum prominence in standard deviations of the film's scores. The default is the
        best of a coarse grid for gap scores of the BBC films (VGG19).
      min_duration: see `enforce_min_duration`.

    Returns:
      int64 `[k]`, increasing; empty if all scores are equal.

    Raises:
      ValueError: shapes do not match, or a value is not finite.
    """
    scores, seconds = _checked(scores, seconds)
    if len(scores) < 2 or scores.std() < FLAT:
        return np.zeros(0, np.int64)
    tops = find_peaks(scores)
    high = compute_prominences(scores)[tops] >= max(prominence, 0.0) * scores.std()
    return enforce_min_duration(tops[high], scores, seconds, min_duration)


def select_highest(
    scores: np.ndarray, seconds: np.ndarray, *, count: int, min_duration: float = 0.0
) -> np.ndarray:
    """Select the boundaries of highest score, the earlier of equal ones first.

    Args:
      scores: scores of the shot boundaries, float `[n-1]`.
      seconds: start and end of each shot, float64 `[n 2]`.
      count: number of boundaries; fewer if there are not as many, or by `min_duration`.
      min_duration: see `enforce_min_duration`.

    Returns:
      int64 `[k]`, increasing; empty if all scores are equal.

    Raises:
      ValueError: shapes do not match, or a value is not finite.
    """
    scores, seconds = _checked(scores, seconds)
    if len(scores) < 2 or scores.std() < FLAT:
        return np.zeros(0, np.int64)
    highest = np.sort(np.argsort(-scores, kind="stable")[: max(count, 0)])
    return enforce_min_duration(highest, scores, seconds, min_duration)


def find_peaks(scores: np.ndarray) -> np.ndarray:
    """Return the local maxima of scores `[n]`, ends included; of equal runs the middle: int64."""
    first = np.flatnonzero(np.diff(scores, prepend=np.nan) != 0)
    last = np.append(first[1:], len(scores)) - 1
    level = np.pad(scores[first], 1, constant_values=-np.inf)
    is_top = (level[1:-1] > level[:-2]) & (level[1:-1] > level[2:])
    peaks = ((first + last) // 2)[is_top]
    return peaks[scores[peaks] > scores.min()]


def compute_prominences(scores: np.ndarray) -> np.ndarray:
    """Compute the descent from each score `[n]` that is necessary to reach a higher one.

    Beyond the ends the score is the minimum.
    """
    values = [float(score) for score in (scores.min(), *scores, scores.min())]
    before, after = _lowest(values), _lowest(values[::-1])[::-1]
    return (np.array(values) - np.maximum(before, after))[1:-1]


def _lowest(values: list[float]) -> list[float]:
    """Return, for each value, the minimum since the last higher one, itself included."""
    lowest, higher = [], []  # `higher`: values not reached by later ones, with their minima
    for value in values:
        low = value
        while higher and higher[-1][0] <= value:
            low = min(low, higher.pop()[1])
        higher.append((value, low))
        lowest.append(low)
    return lowest


def enforce_min_duration(
    boundaries: np.ndarray, scores: np.ndarray, seconds: np.ndarray, min_duration: float
) -> np.ndarray:
    """Drop boundaries that would leave a scene shorter than `min_duration` seconds.

    Boundaries are visited by decreasing score, the earlier of equal ones first, and retained if
    they are at least `min_duration` away from the start and end of the film and from all boundaries
    retained so far. The time of a boundary is the start of the next shot.

    Args:
      boundaries: int64 `[k]`.
      scores: scores of all shot boundaries, float `[n-1]`.
      seconds: start and end of each shot, float64 `[n 2]`.
      min_duration: minimum length of a scene in seconds; 0 for no limit.
    """
    if min_duration <= 0:
        return boundaries
    starts = seconds[1:, 0]
    times: list[float] = [float(seconds[0, 0]), float(seconds[-1, 1])]
    chosen = []
    for boundary in boundaries[np.argsort(-scores[boundaries], kind="stable")]:
        time = float(starts[boundary])
        place = bisect.bisect(times, time)
        adjacent = times[max(place - 1, 0) : place + 1]
        if all(abs(time - other) >= min_duration for other in adjacent):
            times.insert(place, time)
            chosen.append(boundary)
    return np.sort(np.array(chosen, np.int64))


def select_k_scenes(
    vectors: np.ndarray, num_scenes: int, *, max_candidates: int = MAX_CANDIDATES
) -> np.ndarray:
    """Divide a film into `num_scenes` scenes of maximally similar shots.

    Optimal sequential grouping (Rotman, Porat & Ashour 2017), by dynamic programming. The cost of a
    scene is the sum of squared distances of its shots' unit vectors to their mean, which equals the
    sum of cosine distances between its shots divided by its number of shots. (Without the division,
    as in the paper's additive cost, scenes of equal length are preferred.) Of equal groupings the
    more even one is chosen.

    In a film of more than `max_candidates` + 1 shots only the boundaries of highest gap score are
    considered: time is O(num_scenes max_candidates^2) and memory O(n d + max_candidates^2).

    Args:
      vectors: shot embeddings, `[n d]`, of any norm.
      num_scenes: number of scenes; a film of fewer shots has one scene per shot.
      max_candidates: number of boundaries to consider, at least `num_scenes` - 1.

    Returns:
      int64 `[min(num_scenes, n) - 1]`, increasing: a scene starts with shot boundary + 1.

    Raises:
      ValueError: `num_scenes` is below 1 or above `max_candidates` + 1, or a value is not finite.
    """
    if not 1 <= num_scenes <= max_candidates + 1:
        raise ValueError(
            f"the number of scenes must be between 1 and {max_candidates + 1}, got {num_scenes}"
        )
    unit = normalize_rows(vectors)
    num_scenes = min(num_scenes, len(unit))
    candidates = np.arange(len(unit) - 1)
    if len(candidates) > max_candidates:
        strongest = np.argsort(-compute_gap_scores(vectors), kind="stable")[:max_candidates]
        candidates = np.sort(strongest)
    cuts = np.concatenate([[0], candidates + 1, [len(unit)]])
    chosen = _cheapest_path(_scatter(unit, cuts), num_scenes)
    return cuts[chosen].astype(np.int64) - 1


def _scatter(unit: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Compute the cost `[j i]` of scenes from cut i to j: squared distances to the mean, float64.

    The cost is m - |sum|^2 / m for m vectors. The mean of all vectors is subtracted first, which
    changes no distance, because differences of long sums would lose precision.
    """
    centered = unit - unit.mean(axis=0, dtype=np.float64).astype(np.float32)
    square = np.einsum("nd,nd->n", centered, centered, dtype=np.float64)
    totals = np.zeros((len(cuts), unit.shape[1]))
    totals[1:] = np.add.reduceat(centered, cuts[:-1], axis=0).cumsum(axis=0, dtype=np.float64)
    squares = np.append(0.0, np.add.reduceat(square, cuts[:-1]).cumsum())
    norms = np.einsum("cd,cd->c", totals, totals)
    table = totals @ totals.T
    table *= -2
    table += norms[:, None]
    table += norms[None, :]
    length = np.maximum(cuts[:, None] - cuts[None, :], 1)
    table /= -length
    table += squares[:, None]
    table -= squares[None, :]
    np.maximum(table, 0, out=table)
    table += 1e-7 / len(unit) * length**2.0  # of equal groupings prefer the more even one
    return table


def _cheapest_path(cost: np.ndarray, steps: int) -> np.ndarray:
    """Return the inner nodes of the cheapest forward path from the first to the last node.

    Args:
      cost: cost `[j i]` of the step from i to j > i; the rest is overwritten.
      steps: number of steps, less than the number of nodes.
    """
    nodes = len(cost)
    cost[np.triu_indices(nodes)] = np.inf  # forward only
    best, through = cost[:, 0].copy(), np.empty_like(cost)
    came = np.zeros((steps, nodes), np.int32)
    for step in range(1, steps):
        np.add(cost, best, out=through)
        came[step] = through.argmin(axis=1)
        best = through.min(axis=1)
    path = [nodes - 1]
    for step in range(steps - 1, 0, -1):
        path.append(int(came[step, path[-1]]))
    return np.array(path[:0:-1], np.int64)


def _checked(scores: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64, if their shapes match and all values are finite."""
    scores, seconds = np.asarray(scores, np.float64), np.asarray(seconds, np.float64)
    if scores.ndim != 1 or seconds.shape != (len(scores) + 1, 2):
        raise ValueError(
            f"{len(scores)} scores belong to {len(scores) + 1} shots, expected seconds of shape "
            f"[{len(scores) + 1} 2], got {list(seconds.shape)}"
        )
    if not np.isfinite(scores).all() or not np.isfinite(seconds).all():
        raise ValueError("scores and seconds must be finite, got NaN or infinity")
    return scores, seconds
