"""When a film's latest frames are shown."""

import numpy as np


class Times:
    """PTS of a film's latest frames, by number."""

    def __init__(self) -> None:
        self.frames = 0
        self._first, self._pts = 0, np.zeros(0, np.int64)

    def add(self, pts: np.ndarray) -> None:
        """Takes the next frames."""
        self._pts = np.concatenate([self._pts, pts])
        self.frames += len(pts)

    def __getitem__(self, frame: int) -> int:
        """PTS of a frame; of the nearest known one where it is forgotten or not read."""
        return int(self._pts[min(max(frame - self._first, 0), len(self._pts) - 1)])

    def forget(self, before: int) -> None:
        """Drops the frames before this one."""
        drop = min(max(before - self._first, 0), len(self._pts) - 1)
        self._pts, self._first = self._pts[drop:].copy(), self._first + drop
