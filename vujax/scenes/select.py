"""Which borders between shots become borders of scenes: by threshold, by prominence, by number."""

import bisect

import numpy as np

from vujax.data.shot_similarity import compute_gap_scores, normalize_rows

MAX_CANDIDATES = 3000  # borders that `by_count` weighs up exactly: two tables of 70 MB


def select_by_threshold(
    scores: np.ndarray, seconds: np.ndarray, *, threshold: float, min_duration: float = 0.0
) -> np.ndarray:
    """Borders whose score is above `threshold`.

    Args:
      scores: float `[n-1]`.
      seconds: float64 `[n 2]`, begin and end of each shot.
      threshold: what is exactly as high is no border.
      min_duration: see `apart`.

    Returns:
      int64 `[k]` in order: a scene begins with shot border + 1.

    Raises:
      ValueError: the shapes do not fit, or a number is not finite.
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
    """Borders that stand out of their surroundings, for scores without a meaningful threshold.

    A peak's prominence is how far one must come down from it to reach a higher one; the film's
    ends count as low as its lowest score. A run of equal scores is one peak, in its middle.

    Args:
      scores: float `[n-1]`.
      seconds: float64 `[n 2]`.
      prominence: least prominence, in standard deviations of this film's scores. The default is the
        best of a coarse grid for gap scores of the BBC films (VGG19).
      min_duration: see `apart`.

    Returns:
      int64 `[k]` in order; none where all scores are equal.

    Raises:
      ValueError: the shapes do not fit, or a number is not finite.
    """
    scores, seconds = _checked(scores, seconds)
    if len(scores) < 2 or scores.std() < 1e-6:  # equal but for rounding
        return np.zeros(0, np.int64)
    tops = find_peaks(scores)
    high = compute_prominences(scores)[tops] >= max(prominence, 0.0) * scores.std()
    return enforce_min_duration(tops[high], scores, seconds, min_duration)


def find_peaks(scores: np.ndarray) -> np.ndarray:
    """Where scores `[n]` are higher than on both sides, the ends too: int64, a run's middle."""
    first = np.flatnonzero(np.diff(scores, prepend=np.nan) != 0)
    last = np.append(first[1:], len(scores)) - 1
    level = np.pad(scores[first], 1, constant_values=-np.inf)
    is_top = (level[1:-1] > level[:-2]) & (level[1:-1] > level[2:])
    at = ((first + last) // 2)[is_top]
    return at[scores[at] > scores.min()]


def compute_prominences(scores: np.ndarray) -> np.ndarray:
    """How far one must come down from each score `[n]` to reach a higher one, either way.

    Beyond the ends lies the lowest score.
    """
    values = [float(score) for score in (scores.min(), *scores, scores.min())]
    before, after = _lowest(values), _lowest(values[::-1])[::-1]
    return (np.array(values) - np.maximum(before, after))[1:-1]


def _lowest(values: list[float]) -> list[float]:
    """For each value the lowest since the last higher one, itself included."""
    found, higher = [], []  # values that none after them reaches, and their lowest
    for value in values:
        low = value
        while higher and higher[-1][0] <= value:
            low = min(low, higher.pop()[1])
        higher.append((value, low))
        found.append(low)
    return found


def enforce_min_duration(
    borders: np.ndarray, scores: np.ndarray, seconds: np.ndarray, min_duration: float
) -> np.ndarray:
    """Those of `borders` that leave no scene shorter than `min_duration` seconds.

    The rule: borders are taken from the highest score down (the earlier of two equal ones first),
    and one is kept if it is at least `min_duration` away from the film's begin, from its end and
    from every border kept before. A border lies where the shot after it begins.
    """
    if min_duration <= 0:
        return borders
    begins = seconds[1:, 0]
    kept: list[float] = [float(seconds[0, 0]), float(seconds[-1, 1])]
    chosen = []
    for border in borders[np.argsort(-scores[borders], kind="stable")]:
        moment = float(begins[border])
        place = bisect.bisect(kept, moment)
        near = kept[max(place - 1, 0) : place + 1]
        if all(abs(moment - other) >= min_duration for other in near):
            kept.insert(place, moment)
            chosen.append(border)
    return np.sort(np.array(chosen, np.int64))


def select_k_scenes(vectors: np.ndarray, scenes: int, *, most: int = MAX_CANDIDATES) -> np.ndarray:
    """The borders that divide a film into `scenes` scenes of shots as alike as possible.

    Optimal sequential grouping (Rotman, Porat & Ashour 2017), by dynamic programming. The cost of a
    scene is the sum of the squared distances of its shots' unit vectors to their mean, which is the
    sum of cosine distances between its shots divided by its number of shots. (Without the division,
    as in the paper's additive cost, scenes of equal length are preferred.) Of equal groupings the
    more even one is taken.

    A film of more than `most` + 1 shots has borders only where its `most` highest gap scores are,
    so time is O(scenes most^2) and memory O(n d + most^2) for any film.

    Args:
      vectors: `[n d]`, one per shot, of any length.
      scenes: how many; a film of fewer shots has a scene for each shot.
      most: borders that may be chosen, at least `scenes` - 1.

    Returns:
      int64 `[min(scenes, n) - 1]` in order: a scene begins with shot border + 1.

    Raises:
      ValueError: `scenes` is below 1 or more than `most` borders allow, or a vector is not finite.
    """
    if not 1 <= scenes <= most + 1:
        raise ValueError(f"the number of scenes must be between 1 and {most + 1}, not {scenes}")
    unit = normalize_rows(vectors)
    scenes = min(scenes, len(unit))
    candidates = np.arange(len(unit) - 1)
    if len(candidates) > most:
        strongest = np.argsort(-compute_gap_scores(vectors), kind="stable")[:most]
        candidates = np.sort(strongest)
    cuts = np.concatenate([[0], candidates + 1, [len(unit)]])
    chosen = _cheapest_path(_scatter(unit, cuts), scenes)
    return cuts[chosen].astype(np.int64) - 1


def _scatter(unit: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Cost `[j i]` of one scene from cut i to cut j: squared distances to the mean, float64.

    m - |sum|^2 / m for m vectors whose common mean is taken off first (that changes no distance),
    because differences of long sums would lose digits.
    """
    centred = unit - unit.mean(axis=0, dtype=np.float64).astype(np.float32)
    square = np.einsum("nd,nd->n", centred, centred, dtype=np.float64)
    totals = np.zeros((len(cuts), unit.shape[1]))
    totals[1:] = np.add.reduceat(centred, cuts[:-1], axis=0).cumsum(axis=0, dtype=np.float64)
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
    table += 1e-7 / len(unit) * length**2.0  # equal but for rounding: prefer even lengths
    return table


def _cheapest_path(cost: np.ndarray, steps: int) -> np.ndarray:
    """Inner nodes of the cheapest path from node 0 to the last in `steps` steps, all forward.

    Args:
      cost: `[j i]`, of the step from i to j > i; the rest is overwritten.
      steps: at most the number of nodes less 1.
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
    """Both as float64."""
    scores, seconds = np.asarray(scores, np.float64), np.asarray(seconds, np.float64)
    if scores.ndim != 1 or seconds.shape != (len(scores) + 1, 2):
        raise ValueError(
            f"{len(scores)} scores are of {len(scores) + 1} shots, whose seconds are "
            f"[{len(scores) + 1} 2], not {list(seconds.shape)}"
        )
    if not np.isfinite(scores).all() or not np.isfinite(seconds).all():
        raise ValueError("scores and seconds must be finite: one is NaN or infinite")
    return scores, seconds
