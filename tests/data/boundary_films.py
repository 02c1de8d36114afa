"""A labeled film in memory, for tests."""

import numpy as np


class MemoryFilm:
    """Shots of one film whose inputs are arrays."""

    frames = None
    fps = None

    def __init__(self, film, inputs, starts, seconds=None):
        self.film, self._inputs = film, inputs
        self.starts = None if starts is None else np.asarray(starts)
        n = len(next(iter(inputs.values())))
        ends = np.arange(1.0, n + 1)
        self.seconds = np.stack([ends - 1, ends], axis=1) if seconds is None else seconds

    def __len__(self):
        return len(self.seconds)

    def inputs(self, shots):
        return {name: value[shots] for name, value in self._inputs.items()}


def numbered(film: int, shots: int, starts: list[int]) -> MemoryFilm:
    """Shot i of film f has the feature (f, i); scenes start with the shots of `starts`."""
    feature = np.stack([np.full(shots, film), np.arange(shots)], axis=1).astype(np.float32)
    labels = np.zeros(max(shots - 1, 0), bool)
    labels[np.array(starts, int) - 1] = True
    return MemoryFilm(f"film-{film}", {"feature": feature}, labels)
