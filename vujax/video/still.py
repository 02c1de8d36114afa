"""Spans of a film in which nothing moves, and so no transition can lie.

A dissolve or a fade may change less from one frame to the next than noise does, but it adds up:
each frame is compared with its predecessor and with one about a second back.
"""

import numpy as np

BACK = 25  # frames: what changes less than the limit in so many cannot be seen
MARGIN = 12  # frames before and after whatever moves that do not count as still either


def change(frames: np.ndarray, earlier: np.ndarray) -> np.ndarray:
    """Mean absolute difference of pictures uint8 `[n h w c]`, in levels of 255: float64 `[n]`."""
    difference = np.abs(frames.astype(np.int16) - earlier)
    return difference.reshape(len(frames), -1).mean(axis=1)


class Moving:
    """Tells, as a film's frames arrive, which of them lie near anything that moves.

    The answers continue each other; they lag MARGIN frames behind the frames.
    """

    def __init__(self, limit: float) -> None:
        """Says that a frame moves when it differs by more than `limit` levels from those before."""
        self._limit = limit
        self._tail: np.ndarray | None = None  # the last BACK frames
        self._moves = np.zeros(MARGIN, bool)  # from MARGIN frames before the next answer on

    def add(self, frames: np.ndarray) -> np.ndarray:
        """Takes frames uint8 `[n h w c]`; bool `[m]` for the next m that can be told."""
        before = frames[:1] if self._tail is None else self._tail
        seen = np.concatenate([before, frames])
        at = np.arange(len(before), len(seen))
        moves = change(frames, seen[at - 1]) > self._limit
        moves |= change(frames, seen[np.maximum(at - BACK, 0)]) > self._limit
        self._tail = seen[-BACK:]
        return self._answer(moves)

    def finish(self) -> np.ndarray:
        """After the last frame: bool `[m]` for those that were still open."""
        return self._answer(np.zeros(MARGIN, bool))

    def _answer(self, moves: np.ndarray) -> np.ndarray:
        self._moves = np.concatenate([self._moves, moves])
        if len(self._moves) <= 2 * MARGIN:
            return np.zeros(0, bool)
        near = np.convolve(self._moves, np.ones(2 * MARGIN + 1, int), "valid") > 0
        self._moves = self._moves[len(near) :]
        return near
