"""Shots that are closed as soon as their end is sure, so that a film needs not be kept."""

import bisect
from collections.abc import Iterable, Iterator

import numpy as np

from vujax.video.shots import Shot, Transition


class Closing:
    """Cuts a film like `vujax.video.shots.shots` does, but while its transitions come in."""

    def __init__(self) -> None:
        self._begin, self._into = 0, None
        self._open: list[Transition] = []

    def add(self, found: Iterable[Transition], decided: int, frames: int) -> Iterator[Shot]:
        """The shots that end before `decided`, now that `frames` frames were read.

        Args:
          found: transitions that became sure.
          decided: no boundary before this frame will be reported any more.
          frames: frames read so far.
        """
        for transition in found:
            bisect.insort(self._open, transition)
        while self._open and self._open[0].boundary < decided and self._open[0].first < frames:
            yield from self._close(self._open.pop(0))

    def finish(self, found: Iterable[Transition], frames: int) -> Iterator[Shot]:
        """The remaining shots of a film that turned out to have `frames` frames."""
        for transition in sorted([*self._open, *found]):
            if transition.boundary < frames:
                yield from self._close(transition)
        if frames:
            yield Shot(self._begin, frames, self._into)

    def _close(self, transition: Transition) -> Iterator[Shot]:
        if transition.boundary > self._begin:
            yield Shot(self._begin, transition.boundary, self._into)
            self._begin, self._into = transition.boundary, transition


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
