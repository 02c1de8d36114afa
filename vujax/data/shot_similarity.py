"""Cosine similarity of the shots around each shot boundary, on a scale shared by all encoders.

Encoders differ in the level of their cosines: 0.6 between unrelated shots for one, 0.05 for
another. The cosines near the diagonal of each film are therefore rescaled, by their mean and
standard deviation or by their ranks, so that a head that was trained on the embeddings of one
encoder keeps its threshold on those of another. Memory is O(n reach): the matrix of all pairs of
shots is never built.

`compute_gap_scores` scores boundaries from the same cosines, without labels.
"""

import dataclasses

import numpy as np

SCALES = ("film", "lag", "rank", "none")

MIN_SHOT_S = 1e-3  # shorter shots count as this long


def normalize_rows(vectors: np.ndarray) -> np.ndarray:
    """Normalize embeddings `[n d]` to unit length, float32 `[n d+1]`.

    The added column is 1 for rows of zeros and 0 for the others: black shots are similar to each
    other and to nothing else.

    Raises:
      ValueError: the array is not two-dimensional, is empty, or has a value that is not finite.
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or len(vectors) == 0:
        raise ValueError(
            f"embeddings of a film must be [shots d] with at least 1 shot, got {vectors.shape}"
        )
    vectors = vectors.astype(np.float32, copy=False)
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    if not np.isfinite(norms).all():
        bad = np.flatnonzero(~np.isfinite(norms))
        raise ValueError(
            f"embeddings of {len(bad)} of {len(vectors)} shots contain NaN or infinity, the first "
            f"that of shot {bad[0]}: embed the film again"
        )
    black = norms == 0
    unit = vectors / np.where(black, 1.0, norms)[:, None].astype(np.float32)
    return np.concatenate([unit, black[:, None].astype(np.float32)], axis=1)


def compute_cosine_band(vectors: np.ndarray, width: int) -> np.ndarray:
    """Compute the cosines of each shot with the next ones: `[n d]` -> float32 `[n width]`.

    Entry `[i, k]` is that of shots i and i + k + 1; NaN past the film's end.
    """
    unit = normalize_rows(vectors)
    band = np.full((len(unit), width), np.nan, np.float32)
    for lag in range(1, min(width, len(unit) - 1) + 1):
        band[:-lag, lag - 1] = np.einsum("nd,nd->n", unit[:-lag], unit[lag:])
    return band


def _standardize(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Standardize what is not NaN; zeros where all values are equal."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=axis, keepdims=True), 1)
    mean = np.where(known, values, 0).sum(axis=axis, keepdims=True, dtype=np.float64) / count
    centred = np.where(known, values - mean, 0)
    std = np.sqrt((centred**2).sum(axis=axis, keepdims=True) / count)
    flat = std < 1e-5  # the rounding error of equal values
    return np.where(known, np.where(flat, 0, centred / np.where(flat, 1, std)), np.nan)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks with mean 0 and standard deviation 1; equal values share their mean."""
    from scipy.stats import rankdata  # slow to import

    known = np.isfinite(values)
    out = np.full(values.shape, np.nan)
    if known.any():
        # Values that are equal up to rounding are ties.
        ranks = rankdata(np.round(values[known].astype(np.float64), 5))
        out[known] = (ranks - 0.5) / known.sum() - 0.5
    return out * np.sqrt(12)


def rescale(band: np.ndarray, scale: str) -> np.ndarray:
    """Rescale a film's band to a scale that does not depend on the encoder, float32.

    Args:
      band: see `cosine_band`.
      scale: 'film' (mean and standard deviation of all of it), 'lag' (of each column), 'rank', or
        'none' (plain cosines).
    """
    if scale not in SCALES:
        raise ValueError(f"unknown scale '{scale}'; expected one of: {', '.join(SCALES)}")
    if scale == "rank":
        return _ranks(band).astype(np.float32)
    if scale == "none":
        return band
    return _standardize(band, axis=0 if scale == "lag" else None).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class LocalSimilarity:
    """Local similarity matrices around the shot boundaries of a film, built on demand.

    Attributes:
      reach: shots on each side of a boundary.
      band: float32 `[n 2 reach - 1]`, on the film's scale; NaN past the end.
      duration: float32 `[n]`, logarithms of seconds, standardized over the film.
    """

    reach: int
    band: np.ndarray
    duration: np.ndarray

    def __len__(self) -> int:
        """Return the number of boundaries, one less than shots."""
        return len(self.duration) - 1

    def rows(self, boundaries: np.ndarray) -> dict[str, np.ndarray]:
        """Return the inputs of a head for these boundaries, int `[k]`, with w = 2 reach shots each.

        Returns:
          similarity float32 `[k w w]` (symmetric; 0 on the diagonal and past the film's ends),
          duration float32 `[k w]` (0 past the ends) and mask bool `[k w]` (True: inside the film).
        """
        w, n = 2 * self.reach, len(self.duration)
        shots = np.asarray(boundaries)[:, None] + np.arange(1 - self.reach, self.reach + 1)
        mask = (shots >= 0) & (shots < n)
        first, second = np.triu_indices(w, 1)
        # A pair outside the film has no cosine: its first shot is before the start, or the band
        # has NaN there.
        upper = self.band[np.clip(shots[:, first], 0, n - 1), second - first - 1]
        upper = np.where(mask[:, first] & mask[:, second], upper, 0)
        matrix = np.zeros((len(shots), w, w), np.float32)
        matrix[:, first, second] = matrix[:, second, first] = upper
        duration = np.where(mask, self.duration[np.clip(shots, 0, n - 1)], 0)
        return {"similarity": matrix, "duration": duration.astype(np.float32), "mask": mask}


def compute_log_durations(seconds: np.ndarray, shots: int) -> np.ndarray:
    """Compute the logarithms of the durations of a film's shots, float64 `[n]`.

    Args:
      seconds: start and end of each shot, `[n 2]`.
      shots: number of shots.

    Raises:
      ValueError: there are not as many, or a value is not finite.
    """
    seconds = np.asarray(seconds, np.float64)
    if seconds.shape != (shots, 2):
        raise ValueError(f"{shots} shots need seconds [{shots} 2], got {seconds.shape}")
    if not np.isfinite(seconds).all():
        raise ValueError("the start and end times of the shots contain NaN or infinity")
    return np.log(np.maximum(seconds[:, 1] - seconds[:, 0], MIN_SHOT_S))


def compute_local_similarity(
    vectors: np.ndarray, seconds: np.ndarray, reach: int, *, scale: str = "film"
) -> LocalSimilarity:
    """Compute the local similarity matrices around the shot boundaries of a film.

    Args:
      vectors: `[n d]`, embeddings of the shots, of any encoder and any length.
      seconds: float64 `[n 2]`, start and end of each shot.
      reach: shots on each side of a boundary.
      scale: see `rescale`.

    Raises:
      ValueError: the shapes do not match, or a value is not finite.
    """
    if reach < 1:
        raise ValueError(f"reach must be at least 1 shot, got {reach}")
    lengths = compute_log_durations(seconds, len(vectors))
    band = rescale(compute_cosine_band(vectors, 2 * reach - 1), scale)
    return LocalSimilarity(reach, band, _standardize(lengths).astype(np.float32))


def compute_gap_scores(vectors: np.ndarray, reach: int = 4) -> np.ndarray:
    """Compute 1 - the largest cosine between the shots before a boundary and those after it.

    A scene returns to its places and people, so that a shot inside it resembles one a few shots
    away; across a scene boundary no shot resembles another.

    Args:
      vectors: `[n d]`, embeddings of the shots, of any length; zeros only resemble zeros.
      reach: shots on each side; fewer at the film's ends.

    Returns:
      float32 `[n-1]`, 0 (the same) to 2; empty for one shot.

    Raises:
      ValueError: there is no shot, or a value is not finite.
    """
    if reach < 1:
        raise ValueError(f"reach must be at least 1 shot, got {reach}")
    band = compute_cosine_band(vectors, 2 * reach - 1)
    boundaries = len(band) - 1
    best = np.full(boundaries, -1.0, np.float32)
    for back in range(min(reach, boundaries)):  # the first shot of the pair is boundary - back
        for lag in range(back + 1, back + reach + 1):
            np.fmax(best[back:], band[: boundaries - back, lag - 1], out=best[back:])
    return np.maximum(1 - best, 0)
