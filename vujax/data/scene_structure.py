"""Label-free scene boundary score from the structure of a film's similarities and durations.

`compute_structure_scores` is a sum of three parts, each standardized over the film:
  flow: little attention crosses the boundary, when each shot attends to its neighbors by similarity
    (`compute_attention_flow`), averaged over several reaches;
  posterior: how probable the boundary is over all divisions of the film into scenes of similar
    shots (`compute_boundary_posterior`, a semi-Markov model), by rank;
  duration: shots beside a scene boundary are longer, at a quarter of the weight.

Nothing is trained. Similarities are measured in units of the film's own level, the median cosine
distance of consecutive shots, so that every encoder has the same settings. The settings are our
choice; the score is flat in them. Time is O(n m) for n shots and m = 60, memory O(n m).
"""

import numpy as np

from vujax.data.shot_similarity import compute_cosine_band, compute_log_durations

REACHES = (3, 4, 6, 8)  # shots on each side that a shot attends to
TEMPERATURE = 0.25  # of the attention, in median distances
SCATTER_WEIGHT = 2.0  # cost of a scene's scatter, per median distance
LENGTH_SHAPE = 2.0  # gamma prior on the number of shots of a scene
LENGTH_MEAN = 12.0
MAX_LENGTH = 60  # shots of a scene
DURATION_WEIGHT = 0.25 * 2**0.5
MIN_DISTANCE = 1e-3  # shots that differ by less are the same, except for rounding
FLAT = 1e-9  # standard deviation of equal values


def compute_structure_scores(vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Score the shot boundaries of a film without labels or weights.

    Args:
      vectors: shot embeddings, `[n d]`, of any encoder and norm.
      seconds: start and end of each shot, float64 `[n 2]`.

    Returns:
      float64 `[n-1]` with mean 0 over the film; higher means that a scene boundary is more likely.
      All zeros if the shots cannot be told apart.

    Raises:
      ValueError: the shapes do not match, or a value is not finite.
    """
    flow, posterior, duration = compute_structure_parts(vectors, seconds).T
    return flow + posterior + DURATION_WEIGHT * duration


def compute_structure_parts(vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Compute the standardized parts flow, posterior and duration of the score, `[n-1 3]`.

    Args:
      vectors: see `compute_structure_scores`.
      seconds: see `compute_structure_scores`.

    Raises:
      ValueError: the shapes do not match, or a value is not finite.
    """
    lengths = compute_log_durations(seconds, len(vectors))
    band = compute_cosine_band(vectors, MAX_LENGTH - 1)
    if len(band) < 3 or np.nanmin(band) > 1 - MIN_DISTANCE:
        return np.zeros((len(band) - 1, 3))
    crossing = [compute_attention_flow(band, reach) for reach in REACHES]
    flow = np.mean([_rank(-values) for values in crossing], axis=0)
    posterior = _rank(compute_boundary_posterior(band))
    parts = (flow, posterior, lengths[:-1] + lengths[1:])
    return np.stack([_standardize(part) for part in parts], axis=1)


def compute_attention_flow(
    band: np.ndarray, reach: int, *, temperature: float = TEMPERATURE
) -> np.ndarray:
    """Compute the attention that crosses each shot boundary, both ways.

    Each shot distributes a weight of 1 over the `reach` shots on either side (fewer at the film's
    ends), by softmax(cosine / (temperature x median distance)).

    Args:
      band: cosines `[n w]`, see `compute_cosine_band`, with w >= `reach`.
      reach: neighbors on each side.
      temperature: in units of the median cosine distance of consecutive shots.

    Returns:
      float64 `[n-1]`, non-negative.
    """
    n, lags = len(band), range(1, min(reach, len(band) - 1) + 1)
    logits = np.full((n, 2 * reach), -np.inf)
    for lag in lags:  # columns: the next shots, then the previous ones
        logits[:-lag, lag - 1] = logits[lag:, reach + lag - 1] = band[:-lag, lag - 1]
    logits /= temperature * _median_distance(band)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    change = np.zeros(n)
    for lag in lags:
        exchanged = weights[:-lag, lag - 1] + weights[lag:, reach + lag - 1]
        change[:-lag] += exchanged
        change[lag:] -= exchanged
    return np.maximum(np.cumsum(change)[: n - 1], 0)


def compute_boundary_posterior(band: np.ndarray) -> np.ndarray:
    """Compute the probability of each boundary over all divisions of the film into scenes.

    A division has weight prod over its scenes of prior(length) exp(-2 scatter / l): the scatter is
    the sum of squared distances of a scene's unit vectors to their mean (the cost of optimal
    sequential grouping, Rotman, Porat & Ashour 2017), l the median distance of consecutive shots,
    the prior a gamma density of shape 2 and mean 12 shots, at most 60. Forward-backward algorithm.

    Args:
      band: cosines `[n 59]`, see `compute_cosine_band`.

    Returns:
      float64 `[n-1]`, 0 to 1.
    """
    cost = SCATTER_WEIGHT * _scatter_by_length(band) / _median_distance(band)
    log_weights = _log_length_prior()[: cost.shape[1]] - cost
    forward = _log_sums(log_weights)
    # From the end: a scene of the reversed film starts where it ends in the film.
    backward = _log_sums(_reverse_starts(log_weights))[::-1]
    return np.exp(np.minimum(forward + backward - forward[-1], 0))[1:-1]


def _scatter_by_length(band: np.ndarray) -> np.ndarray:
    """Compute the scatter `[n m]` of the scene of k + 1 shots that starts with shot i.

    It is k - 1 - 2 / k times the sum over pairs of their cosines, for k unit vectors; infinite
    for scenes past the film's end.
    """
    n, longest = len(band), min(len(band), MAX_LENGTH)
    previous = np.zeros((n, longest))  # cosines of a shot with the one k shots before
    for lag in range(1, longest):
        previous[lag:, lag] = band[:-lag, lag - 1]
    previous = np.cumsum(previous, axis=1)
    scatter = np.full((n, longest), np.inf)
    pairs = np.zeros(n)
    for length in range(1, longest + 1):
        pairs = pairs[: n - length + 1] + previous[length - 1 :, length - 1]
        scatter[: n - length + 1, length - 1] = length - 1 - 2 * pairs / length
    return np.maximum(scatter, 0)


def _reverse_starts(log_weights: np.ndarray) -> np.ndarray:
    """Index the scenes `[n m]` of a film by their start in the reversed film."""
    n, longest = log_weights.shape
    reversed_weights = np.full_like(log_weights, -np.inf)
    for length in range(1, longest + 1):
        valid = log_weights[: n - length + 1, length - 1]
        reversed_weights[: n - length + 1, length - 1] = valid[::-1]
    return reversed_weights


def _log_sums(log_weights: np.ndarray) -> np.ndarray:
    """Return, for 0 ... n shots, the logarithm of the total weight of all divisions of the first.

    Args:
      log_weights: `[n m]`, of the scene of k + 1 shots that starts with shot i.
    """
    n, longest = log_weights.shape
    by_end = np.full((n + 1, longest), -np.inf)  # [end, longest - length]
    for length in range(1, longest + 1):
        by_end[length:, longest - length] = log_weights[: n - length + 1, length - 1]
    total = np.full(longest + n + 1, -np.inf)  # after `longest` entries for no shots at all
    total[longest] = 0.0
    for end in range(1, n + 1):
        terms = total[end : end + longest] + by_end[end]
        top = terms.max()
        total[longest + end] = top + np.log(np.exp(terms - top).sum())
    return total[longest:]


def _log_length_prior() -> np.ndarray:
    """Return the logarithm of the prior on scenes of 1 ... `MAX_LENGTH` shots."""
    length = np.arange(1, MAX_LENGTH + 1)
    density = length ** (LENGTH_SHAPE - 1) * np.exp(-length * LENGTH_SHAPE / LENGTH_MEAN)
    return np.log(density / density.sum())


def _median_distance(band: np.ndarray) -> float:
    return max(float(np.median(1 - band[:-1, 0].astype(np.float64))), MIN_DISTANCE)


def _rank(values: np.ndarray) -> np.ndarray:
    """Return ranks; values that are equal up to rounding share their mean."""
    from scipy.stats import rankdata  # slow to import

    return rankdata(np.round(values, 9))


def _standardize(values: np.ndarray) -> np.ndarray:
    """Return values of mean 0 and standard deviation 1; zeros where all are equal."""
    std = values.std()
    return (values - values.mean()) / std if std > FLAT else np.zeros_like(values)
