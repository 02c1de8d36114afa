"""How alike the shots around each border are: small matrices of cosines, the same for any encoder.

Encoders differ in how high their cosines are: 0.6 between strangers for one, 0.05 for another. Each
film's cosines near the diagonal are therefore put on one scale, by their mean and standard
deviation or by their ranks, so that a head which learned on one encoder's vectors also keeps its
threshold on another's. Memory is O(n reach): no matrix of all shots with all shots is ever made.

A score of borders that needs no labels.
"""

import dataclasses

import numpy as np

SCALES = ("film", "lag", "rank", "none")

MIN_SHOT_S = 1e-3  # seconds; the shortest shot


def normalize_rows(vectors: np.ndarray) -> np.ndarray:
    """Vectors `[n d]` of length 1, float32 `[n d+1]`.

    The added column is 1 for vectors of zeros and 0 for the others: black shots are like each
    other and unlike the rest.

    Raises:
      ValueError: not a table of at least one row, or a number that is not finite.
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or len(vectors) == 0:
        raise ValueError(
            f"a film's vectors must be [shots d] with at least 1 shot, not {vectors.shape}"
        )
    vectors = vectors.astype(np.float32, copy=False)
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    if not np.isfinite(norms).all():
        bad = np.flatnonzero(~np.isfinite(norms))
        raise ValueError(
            f"{len(bad)} of the {len(vectors)} shots' vectors hold NaN or infinity, the first is "
            f"that of shot {bad[0]}: compute the film's vectors again"
        )
    black = norms == 0
    unit = vectors / np.where(black, 1.0, norms)[:, None].astype(np.float32)
    return np.concatenate([unit, black[:, None].astype(np.float32)], axis=1)


def compute_cosine_band(vectors: np.ndarray, width: int) -> np.ndarray:
    """Cosines of each shot with the next ones: `[n d]` -> float32 `[n width]`.

    Entry `[i, k]` is that of shots i and i + k + 1; NaN past the film's end.
    """
    unit = normalize_rows(vectors)
    band = np.full((len(unit), width), np.nan, np.float32)
    for lag in range(1, min(width, len(unit) - 1) + 1):
        band[:-lag, lag - 1] = np.einsum("nd,nd->n", unit[:-lag], unit[lag:])
    return band


def _standardize(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean 0 and standard deviation 1 of what is not NaN; zeros where all are equal."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=axis, keepdims=True), 1)
    mean = np.where(known, values, 0).sum(axis=axis, keepdims=True, dtype=np.float64) / count
    centred = np.where(known, values - mean, 0)
    std = np.sqrt((centred**2).sum(axis=axis, keepdims=True) / count)
    flat = std < 1e-5  # what is left of equal values after rounding
    return np.where(known, np.where(flat, 0, centred / np.where(flat, 1, std)), np.nan)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks spread evenly over mean 0 and standard deviation 1; equal values share their mean."""
    from scipy.stats import rankdata  # scipy comes with jax; importing it takes a moment

    known = np.isfinite(values)
    out = np.full(values.shape, np.nan)
    if known.any():
        # Equal up to rounding is equal.
        ranks = rankdata(np.round(values[known].astype(np.float64), 5))
        out[known] = (ranks - 0.5) / known.sum() - 0.5
    return out * np.sqrt(12)


def rescale(band: np.ndarray, scale: str) -> np.ndarray:
    """A film's band on a scale that does not depend on the encoder, float32.

    Args:
      band: see `cosine_band`.
      scale: 'film' (mean and standard deviation of all of it), 'lag' (of each column), 'rank', or
        'none' (the cosines as they are).
    """
    if scale not in SCALES:
        raise ValueError(f"the scale '{scale}' is unknown: use one of {SCALES}")
    if scale == "rank":
        return _ranks(band).astype(np.float32)
    if scale == "none":
        return band
    return _standardize(band, axis=0 if scale == "lag" else None).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class LocalSimilarity:
    """One film's borders, their matrices made when asked for.

    Attributes:
      reach: shots on each side of a border.
      band: float32 `[n 2 reach - 1]`, on the film's scale; NaN past the end.
      duration: float32 `[n]`, logarithms of seconds, mean 0 and standard deviation 1 in the film.
    """

    reach: int
    band: np.ndarray
    duration: np.ndarray

    def __len__(self) -> int:
        """Borders: one less than shots."""
        return len(self.duration) - 1

    def rows(self, borders: np.ndarray) -> dict[str, np.ndarray]:
        """What a head sees of these borders, int `[k]`, with w = 2 reach shots around each.

        Returns:
          similarity float32 `[k w w]` (symmetric; 0 on the diagonal and past the film's ends),
          duration float32 `[k w]` (0 past the ends) and mask bool `[k w]` (True: inside the film).
        """
        w, n = 2 * self.reach, len(self.duration)
        shots = np.asarray(borders)[:, None] + np.arange(1 - self.reach, self.reach + 1)
        mask = (shots >= 0) & (shots < n)
        first, second = np.triu_indices(w, 1)
        # A pair outside the film on either side has no cosine: its first shot is before the
        # beginning, or the band holds NaN there.
        upper = self.band[np.clip(shots[:, first], 0, n - 1), second - first - 1]
        upper = np.where(mask[:, first] & mask[:, second], upper, 0)
        matrix = np.zeros((len(shots), w, w), np.float32)
        matrix[:, first, second] = matrix[:, second, first] = upper
        duration = np.where(mask, self.duration[np.clip(shots, 0, n - 1)], 0)
        return {"similarity": matrix, "duration": duration.astype(np.float32), "mask": mask}


def compute_local_similarity(
    vectors: np.ndarray, seconds: np.ndarray, reach: int, *, scale: str = "film"
) -> LocalSimilarity:
    """The local similarity matrices of a film's borders.

    Args:
      vectors: `[n d]`, one per shot, of any encoder and any length.
      seconds: float64 `[n 2]`, begin and end of each shot.
      reach: shots on each side of a border.
      scale: see `rescale`.

    Raises:
      ValueError: the shapes do not fit, or a number is not finite.
    """
    if reach < 1:
        raise ValueError(f"the reach must be at least 1 shot, not {reach}")
    seconds = np.asarray(seconds, np.float64)
    if seconds.shape != (len(vectors), 2):
        raise ValueError(
            f"{len(vectors)} shots need seconds [{len(vectors)} 2], not {seconds.shape}"
        )
    if not np.isfinite(seconds).all():
        raise ValueError("the shots' begin and end times hold NaN or infinity")
    band = rescale(compute_cosine_band(vectors, 2 * reach - 1), scale)
    lengths = np.log(np.maximum(seconds[:, 1] - seconds[:, 0], MIN_SHOT_S))
    return LocalSimilarity(reach, band, _standardize(lengths).astype(np.float32))


def compute_gap_scores(vectors: np.ndarray, reach: int = 4) -> np.ndarray:
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
    band = compute_cosine_band(vectors, 2 * reach - 1)
    borders = len(band) - 1
    best = np.full(borders, -1.0, np.float32)
    for back in range(min(reach, borders)):  # the first shot of the pair is border - back
        for lag in range(back + 1, back + reach + 1):
            np.fmax(best[back:], band[: borders - back, lag - 1], out=best[back:])
    return np.maximum(1 - best, 0)
