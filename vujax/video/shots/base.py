"""Shots, the transitions between them, and the interface of shot detectors.

The shots of a film are its frames, cut at its transitions. Frames are counted from 0 in the order
in which `FrameReader` yields them; their times are the PTS that come with them.
"""

import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from vujax.video.decode import Chunk
from vujax.video.probe import VideoStream


@dataclass(frozen=True, order=True)
class Transition:
    """End of one shot and start of the next.

    Attributes:
      last: last frame that shows the old shot alone.
      first: first frame that shows the new shot alone; last + 1 for a cut.
      kind: 'cut', 'gradual', or the kind that a shot list gives: 'dissolve', 'fade', ...
      score: confidence of the detector in [0, 1]; 1 for a shot list.
    """

    last: int
    first: int
    kind: str = "cut"
    score: float = 1.0

    @property
    def boundary(self) -> int:
        """First frame counted to the new shot: the middle of the frames between."""
        return (self.last + self.first + 1) // 2


@dataclass(frozen=True)
class Shot:
    """Frames `start` to `end` - 1 of a film.

    Attributes:
      start: first frame.
      end: frame after the last one.
      transition: transition at its start; None for a film's first shot.
    """

    start: int
    end: int
    transition: Transition | None


def split_into_shots(transitions: Iterable[Transition], frames: int) -> list[Shot]:
    """Cut a film at the boundaries of its transitions; every frame is in exactly one shot.

    Transitions that would leave a shot without frames are dropped.

    Args:
      transitions: transitions of the film, in any order.
      frames: number of frames of the film.
    """
    return list(ShotAssembler().finish(transitions, frames))


class ShotAssembler:
    """Incremental `split_into_shots`, for transitions that arrive while the film is read."""

    def __init__(self) -> None:
        self._start, self._transition = 0, None
        self._open: list[Transition] = []

    def add(self, found: Iterable[Transition], decided: int, frames: int) -> Iterator[Shot]:
        """Yield the shots that end before `decided`.

        Args:
          found: transitions that became final.
          decided: no boundary before this frame will be reported any more.
          frames: number of frames read so far.
        """
        for transition in found:
            bisect.insort(self._open, transition)
        while self._open and self._open[0].boundary < decided and self._open[0].first < frames:
            yield from self._close(self._open.pop(0))

    def finish(self, found: Iterable[Transition], frames: int) -> Iterator[Shot]:
        """Yield the remaining shots of a film of `frames` frames."""
        for transition in sorted([*self._open, *found]):
            if transition.boundary < frames:
                yield from self._close(transition)
        if frames:
            yield Shot(self._start, frames, self._transition)

    def _close(self, transition: Transition) -> Iterator[Shot]:
        if transition.boundary > self._start:
            yield Shot(self._start, transition.boundary, self._transition)
            self._start, self._transition = transition.boundary, transition


class Detection(Protocol):
    """Search for transitions in one film, chunk by chunk, in memory independent of its length.

    Attributes:
      decided: no transition whose boundary lies before this frame will be reported any more.
    """

    decided: int

    def add(self, chunk: Chunk) -> Sequence[Transition]:
        """Take the next frames; return the transitions that became final, in order."""

    def finish(self) -> Sequence[Transition]:
        """Return the transitions that were still open after the last chunk."""


class ShotDetector(Protocol):
    """Detector of transitions, for any number of films.

    Attributes:
      name: name with the settings, and the hash of the weights, that its results depend on.
      size: height and width of the small frames that it takes from `FrameReader`.

    A detector with a choice of runtimes also has `versions`, a property with the name and version
    of one other than JAX, for the film's manifest.
    """

    name: str
    size: tuple[int, int]

    def start(self, video: VideoStream) -> Detection:
        """Start the detection of one film."""
