"""Part of the evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vujax.data.datasets.lvu import LabeledClip, LvuTask


@dataclass(frozen=True, eq=False)
class TaskMetric:
    """What right answers are, and the constant one, from the train list alone.

    Attributes:
      classes: `[c]`, numbers of the train list's classes, in order; empty where a number is asked
        for.
      constant: the commonest class, or the mean.
    """

    classes: np.ndarray
    constant: float

    @classmethod
    def from_task(cls, task: LvuTask, train: Sequence[LabeledClip]) -> "TaskMetric":
        """From the clips of the train list, with vectors or without."""
        targets = np.array([one.target for one in train])
        if task.is_number:
            return cls(np.zeros(0), float(targets.mean()))
        classes, counts = np.unique(targets, return_counts=True)
        return cls(classes, float(classes[counts.argmax()]))

    def targets(self, clips: Sequence[LabeledClip]) -> np.ndarray:
        """Numbers; or places of the classes, -1 for one that the train list lacks."""
        targets = np.array([one.target for one in clips])
        if not len(self.classes):
            return targets
        place = np.searchsorted(self.classes, targets).clip(max=len(self.classes) - 1)
        return np.where(self.classes[place] == targets, place, -1)

    def losses(self, answers: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """1 for a wrong class; squared errors."""
        if len(self.classes):
            return (answers.argmax(1) != targets).astype(np.float64)
        return (answers[:, 0] - targets) ** 2

    def predict(self, found: np.ndarray) -> np.ndarray:
        """Numbers of classes, or numbers."""
        return self.classes[found.argmax(1)] if len(self.classes) else found[:, 0]

    def hits(self, answers: np.ndarray, clips: Sequence[LabeledClip]) -> np.ndarray:
        """1 for a right class, else 0; squared errors."""
        targets = np.array([one.target for one in clips], np.float64)
        if len(self.classes):
            return (answers == targets).astype(np.float64)
        return (answers - targets) ** 2
