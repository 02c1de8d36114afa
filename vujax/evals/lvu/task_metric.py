"""The metric of a task, and its constant prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vujax.data.datasets.lvu import LabeledClip, LvuTask


@dataclass(frozen=True, eq=False)
class TaskMetric:
    """Accuracy or squared error of a task, by the train list alone.

    Attributes:
      classes: `[c]`, numbers of the train list's classes, in order; empty for a regression task.
      constant: the commonest class, or the mean.
    """

    classes: np.ndarray
    constant: float

    @classmethod
    def from_task(cls, task: LvuTask, train: Sequence[LabeledClip]) -> "TaskMetric":
        """Take classes and constant from the train list, with embeddings or without."""
        targets = np.array([clip.target for clip in train])
        if task.is_number:
            return cls(np.zeros(0), float(targets.mean()))
        classes, counts = np.unique(targets, return_counts=True)
        return cls(classes, float(classes[counts.argmax()]))

    def targets(self, clips: Sequence[LabeledClip]) -> np.ndarray:
        """Return numbers; or positions in `classes`, -1 for an unknown class."""
        targets = np.array([clip.target for clip in clips])
        if not len(self.classes):
            return targets
        place = np.searchsorted(self.classes, targets).clip(max=len(self.classes) - 1)
        return np.where(self.classes[place] == targets, place, -1)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return 1 for a wrong class, else 0; or squared errors."""
        if len(self.classes):
            return (outputs.argmax(1) != targets).astype(np.float64)
        return (outputs[:, 0] - targets) ** 2

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Convert outputs `[n k]` to numbers of classes, or to numbers: `[n]`."""
        return self.classes[outputs.argmax(1)] if len(self.classes) else outputs[:, 0]

    def hits(self, predictions: np.ndarray, clips: Sequence[LabeledClip]) -> np.ndarray:
        """Return 1 for a right class, else 0; or squared errors."""
        targets = np.array([clip.target for clip in clips], np.float64)
        if len(self.classes):
            return (predictions == targets).astype(np.float64)
        return (predictions - targets) ** 2
