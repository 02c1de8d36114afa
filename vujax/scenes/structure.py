"""Scene boundaries without labels or weights, as calibrated probabilities.

A logistic curve over the structure score (`vujax.data.scene_structure`) is the probability of a
scene boundary. Their sum is the expected number of boundaries, and as many are selected. The score
is standardized over each film, so that whole films, clips and films of few shots all get a sensible
number, with any encoder; a film whose parts of the score agree gets more.

The prior of the curve is memoryless. Length priors with a peak (a semi-Markov model with gamma
lengths) fit labeled scenes better but select worse boundaries, and too few of them in clips. Inputs
that differ between films (durations in seconds, contrast) were better on the films of the fit and
worse on others; see docs/results/label-free-scenes.md.
"""

from dataclasses import dataclass

import numpy as np

from vujax.data.scene_structure import compute_structure_scores

CALIBRATION = (1.073, -3.088)
"""Slope and offset of the logit, fitted by experiments/label_free_scenes.py on BBC Planet Earth and
on synthetic films, whole and in pieces of 24 to 100 shots."""


@dataclass(frozen=True)
class StructureHead:
    """Scorer of shot boundaries without weights; see `vujax.scenes.types.Head`.

    Attributes:
      calibration: slope and offset of the logit.
      threshold: None: the expected number of boundaries is selected.
    """

    calibration: tuple[float, float] = CALIBRATION
    threshold: None = None

    def scores(self, vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Compute the probability of a scene boundary at each shot boundary, float32 `[n-1]`.

        All are equal if the shots cannot be told apart.

        Args:
          vectors: shot embeddings `[n d]`, of any encoder.
          seconds: start and end of each shot, float64 `[n 2]`.

        Raises:
          ValueError: shapes do not match, or a value is not finite.
        """
        slope, offset = self.calibration
        logits = slope * compute_structure_scores(vectors, seconds) + offset
        return (1 / (1 + np.exp(-logits))).astype(np.float32)
