"""From the cosine of a caption to the chance that it is right, learned from pairs."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from scipy.optimize import isotonic_regression

from vujax.utils.io import write_json

LEAST = 20  # pairs, below which a curve says nothing


@dataclass(frozen=True)
class Calibration:
    """A curve that never falls, straight between its points and flat beyond them.

    Attributes:
      scores: of the points, rising.
      chances: at them, in [0, 1].
      pairs: from how many it was learned.
    """

    scores: tuple[float, ...]
    chances: tuple[float, ...]
    pairs: int

    @classmethod
    def fit(cls, scores: np.ndarray, right: np.ndarray) -> Self:
        """Isotonic regression (Zadrozny and Elkan 2002) of `right` on `scores`.

        Args:
          scores: `[n]`.
          right: bool `[n]`.

        Raises:
          ValueError: too few pairs, or a score that is not finite.
        """
        scores, right = np.asarray(scores, np.float64), np.asarray(right, np.float64)
        if len(scores) < LEAST or not np.isfinite(scores).all():
            raise ValueError(
                f"{len(scores)} scores cannot be calibrated: give {LEAST} pairs or more, with "
                "finite scores"
            )
        # Equal scores have one chance, whatever their order.
        levels, place, count = np.unique(scores, return_inverse=True, return_counts=True)
        share = np.bincount(place, right) / count
        fitted = isotonic_regression(share, weights=count)
        points = []
        for first, last in itertools.pairwise(fitted.blocks):
            chance = min(max(float(fitted.x[first]), 0.0), 1.0)
            middle = np.average(levels[first:last], weights=count[first:last])
            points.append((float(middle), chance))
        middles, chances = zip(*points, strict=True)
        return cls(middles, chances, len(scores))

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Chances float64 `[n]` of scores `[n]`."""
        return np.interp(scores, self.scores, self.chances)

    def write(self, path: Path) -> Path:
        """Writes it as JSON."""
        return write_json(path, dict(kind="vujax calibration", **vars(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `write` wrote.

        Raises:
          FileNotFoundError: it is not there.
          ValueError: it is something else, or damaged.
        """
        try:
            facts = json.loads(Path(path).read_text())
            found = cls(
                tuple(map(float, facts["scores"])),
                tuple(map(float, facts["chances"])),
                int(facts["pairs"]),
            )
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} does not exist: name a calibration") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no calibration ({error}): make it again") from None
        curve = np.array([found.scores, found.chances]) if found._whole() else np.array([])
        if not curve.size or not np.isfinite(curve).all() or (np.diff(curve) < 0).any():
            raise ValueError(f"{path} is no calibration, its points do not rise: make it again")
        return found

    def _whole(self) -> bool:
        return len(self.scores) == len(self.chances)


def brier(chances: np.ndarray, right: np.ndarray) -> float:
    """The mean squared error of chances (Brier 1950); a constant share p gives p (1 - p)."""
    return float(np.mean((np.asarray(chances) - np.asarray(right, np.float64)) ** 2))
