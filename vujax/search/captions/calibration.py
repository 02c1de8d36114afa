"""Calibration of caption scores: from a cosine similarity to the probability of being right."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from scipy.optimize import isotonic_regression

from vujax.utils.io import write_json

MIN_PAIRS = 20


@dataclass(frozen=True)
class Calibration:
    """A non-decreasing curve, linear between its points and constant beyond them.

    Attributes:
      scores: of the points, increasing.
      probabilities: at the points, in [0, 1].
      pairs: number of pairs that it was fitted on.
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]
    pairs: int

    @classmethod
    def fit(cls, scores: np.ndarray, right: np.ndarray) -> Self:
        """Fit `right` by isotonic regression on `scores` (Zadrozny and Elkan, 2002).

        Args:
          scores: `[n]`.
          right: whether the caption is right, bool `[n]`.

        Raises:
          ValueError: there are too few pairs, or a score is not finite.
        """
        scores, right = np.asarray(scores, np.float64), np.asarray(right, np.float64)
        if len(scores) < MIN_PAIRS or not np.isfinite(scores).all():
            raise ValueError(
                f"{len(scores)} scores cannot be calibrated; give {MIN_PAIRS} pairs or more, with "
                "finite scores"
            )
        # Equal scores share one probability, whatever their order.
        levels, place, count = np.unique(scores, return_inverse=True, return_counts=True)
        share = np.bincount(place, right) / count
        fitted = isotonic_regression(share, weights=count)
        middles, probabilities = [], []
        for first, last in itertools.pairwise(fitted.blocks):
            probability = min(max(float(fitted.x[first]), 0.0), 1.0)
            middle = np.average(levels[first:last], weights=count[first:last])
            middles.append(float(middle))
            probabilities.append(probability)
        return cls(tuple(middles), tuple(probabilities), len(scores))

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return the probabilities, float64 `[n]`, of scores `[n]`."""
        return np.interp(scores, self.scores, self.probabilities)

    def write(self, path: Path) -> Path:
        """Write the curve as JSON."""
        curve = dict(scores=self.scores, chances=self.probabilities, pairs=self.pairs)
        return write_json(path, dict(kind="vujax calibration", **curve))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a curve that `write` wrote.

        Raises:
          FileNotFoundError: the file does not exist.
          ValueError: the file is not a calibration, or damaged.
        """
        try:
            contents = json.loads(Path(path).read_text())
            curve = cls(
                tuple(map(float, contents["scores"])),
                tuple(map(float, contents["chances"])),
                int(contents["pairs"]),
            )
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} does not exist; name a calibration") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a calibration ({error}); make it again") from None
        if not curve._is_valid():
            raise ValueError(
                f"{path} is not a calibration, its points do not increase; make it again"
            )
        return curve

    def _is_valid(self) -> bool:
        if not self.scores or len(self.scores) != len(self.probabilities):
            return False
        points = np.array([self.scores, self.probabilities])
        return bool(np.isfinite(points).all() and (np.diff(points) >= 0).all())


def brier_score(probabilities: np.ndarray, right: np.ndarray) -> float:
    """Compute the mean squared error of probabilities (Brier, 1950).

    A constant prediction of the share p of right captions scores p (1 - p).
    """
    return float(np.mean((np.asarray(probabilities) - np.asarray(right, np.float64)) ** 2))
