"""Scores for every frame of a film from a network that sees windows of a fixed number of frames.

A window keeps the scores of the frames in its middle; those at either end only give context. A
film is continued before its first frame and after its last one by repeating them, as the original
TransNetV2 does. All windows have one shape, and memory does not grow with the film.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from vujax.video.still import Moving

HEADS = 2
Score = Callable[[np.ndarray], Any]
"""Frames uint8 `[window h w 3]` -> float scores `[window HEADS]`, of numpy or unfinished of jax."""


class Windows:
    """The scores of one film, frame after frame, as its frames arrive."""

    def __init__(
        self, score: Score, window: int, context: int, moving: Moving | None = None
    ) -> None:
        """Begins with a film.

        Args:
          score: the network.
          window: frames that it takes.
          context: frames at either end of a window whose scores are dropped.
          moving: tells which frames need a score; the others may get zeros. None: all need one.
        """
        self._score, self._window, self._context = score, window, context
        self._moving = moving
        self._frames: np.ndarray | None = None  # those that a window may still need,
        self._base = 0  # the first of which has this number
        self._next = 0  # the first frame that is in no window yet
        self._needed = np.zeros(0, bool)  # of the frames from `_next` on, as far as it is known
        # The newest result is not waited for: the network works while the next frames are decoded.
        self._results: deque[tuple[Any, int, int]] = deque()

    def add(self, frames: np.ndarray) -> list[np.ndarray]:
        """Takes frames uint8 `[n h w 3]`; scores `[m HEADS]` that continue those given before."""
        known = self._frames is not None
        self._frames = np.concatenate([self._frames, frames]) if known else frames
        self._need(self._moving.add(frames) if self._moving else np.ones(len(frames), bool))
        self._start(ahead=self._window - self._context)
        return self._collect(leave=1)

    def finish(self) -> list[np.ndarray]:
        """After the last frame: the scores that were still open."""
        if self._moving:
            self._need(self._moving.finish())
        self._start(ahead=0)
        return self._collect(leave=0)

    def _need(self, needed: np.ndarray) -> None:
        self._needed = np.concatenate([self._needed, needed])

    def _start(self, ahead: int) -> None:
        """Starts all windows that have at least `ahead` frames from their first kept one on."""
        while len(self._needed):
            arrived = self._base + len(self._frames) - self._next
            kept = min(self._window - 2 * self._context, arrived)
            if still := int(np.argmax(np.append(self._needed, True))):
                self._advance(np.zeros((still, HEADS), np.float32), 0, still)
            elif arrived < ahead or len(self._needed) < kept:
                break
            else:
                self._advance(self._score(self._next_window()), self._context, kept)

    def _next_window(self) -> np.ndarray:
        first = self._next - self._context
        last_frame = self._base + len(self._frames) - 1
        numbers = np.arange(first, first + self._window).clip(0, last_frame)
        return self._frames[numbers - self._base]  # a copy, which the network may hold on to

    def _advance(self, result: Any, begin: int, frames: int) -> None:
        """Takes `frames` rows of `result` from `begin` on for the next frames' scores."""
        self._results.append((result, begin, frames))
        self._next += frames
        self._needed = self._needed[frames:]
        base = max(self._base, self._next - self._context)
        self._frames, self._base = self._frames[base - self._base :], base

    def _collect(self, leave: int) -> list[np.ndarray]:
        """All results but the newest `leave`."""
        scores = []
        while len(self._results) > leave:
            result, begin, frames = self._results.popleft()
            scores.append(np.asarray(result)[begin : begin + frames])
        return scores
