"""Scene boundaries without labels or weights, as calibrated probabilities.

A logistic curve over the parts of the structure score (`vujax.data.scene_structure`) is the
probability of a scene boundary. Two inputs are absolute, so that films differ in their number of
scenes: durations in seconds (scenes last a time, not a number of shots) and the film's contrast, by
how much distant shots differ more than consecutive ones. The sum of the probabilities is the
expected number of boundaries, and as many are selected. That holds for whole films, clips and films
of few shots, with any encoder.

The prior of the curve is memoryless. Length priors with a peak (a semi-Markov model with gamma
lengths) fit labeled scenes better but select worse boundaries, and too few of them in clips.
"""

from dataclasses import dataclass

import numpy as np

from vujax.data.scene_structure import (
    compute_contrast,
    compute_structure_parts,
)
from vujax.data.shot_similarity import MIN_SHOT_S

REFERENCE_S = 5.0  # duration of a shot at which its input is 0
REFERENCE_CONTRAST = 1.4
MAX_CONTRAST = 4.0

CALIBRATION = (1.082, 0.418, -3.132, 1.704)
"""Weights of `compute_calibration_inputs`, fitted by experiments/label_free_scenes.py on BBC Planet
Earth and on synthetic films, whole and in pieces of 24 to 100 shots."""


@dataclass(frozen=True)
class StructureHead:
    """Scorer of shot boundaries without weights; see `vujax.scenes.types.Head`.

    Attributes:
      calibration: weights of the logit.
      threshold: None: the expected number of boundaries is selected.
    """

    calibration: tuple[float, ...] = CALIBRATION
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
        logits = compute_calibration_inputs(vectors, seconds) @ np.array(self.calibration)
        return (1 / (1 + np.exp(-logits))).astype(np.float32)


def compute_calibration_inputs(vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Compute the inputs of the logistic curve, float64 `[n-1 4]`.

    They are: flow + posterior, as in the structure score; the logarithms of the durations of both
    shots, relative to 5 s, added; 1; the logarithm of the film's contrast, relative to 1.4. The
    first two and the last are 0 if the shots cannot be told apart.

    Args:
      vectors: shot embeddings `[n d]`, of any encoder.
      seconds: start and end of each shot, float64 `[n 2]`.

    Raises:
      ValueError: shapes do not match, or a value is not finite.
    """
    parts = compute_structure_parts(vectors, seconds)
    inputs = np.zeros((len(parts), 4))
    inputs[:, 2] = 1
    if not parts.any():
        return inputs
    durations = np.log(np.maximum(np.diff(seconds, axis=1)[:, 0], MIN_SHOT_S) / REFERENCE_S)
    contrast = min(compute_contrast(vectors), MAX_CONTRAST)
    inputs[:, 0] = parts[:, 0] + parts[:, 1]
    inputs[:, 1] = durations[:-1] + durations[1:]
    inputs[:, 3] = np.log(contrast / REFERENCE_CONTRAST)
    return inputs
