"""Shots and the transitions between them, and what finds them: the words that all of it shares.

A film's shots are its frames cut at its transitions. Frames are counted from 0 in the order in
which `FrameReader` gives them; their times are the PTS that came with them.
"""

import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from vujax.video.decode import Chunk
from vujax.video.probe import VideoStream


@dataclass(frozen=True, order=True)
class Transition:
    """Where one shot ends and the next begins.

    Attributes:
      last: the last frame that shows the old shot alone.
      first: the first frame that shows the new shot alone: last + 1 when nothing lies between.
      kind: 'cut', 'gradual', or what a list of known shots says: 'dissolve', 'fade', ...
      score: how sure its finder is, 0..1; 1 for what is known.
    """

    last: int
    first: int
    kind: str = "cut"
    score: float = 1.0

    @property
    def boundary(self) -> int:
        """The frame from which on the new shot is counted: the middle of what lies between."""
        return (self.last + self.first + 1) // 2


@dataclass(frozen=True)
class Shot:
    """Frames `begin` to `end` - 1 of a film.

    Attributes:
      begin: its first frame.
      end: the frame after its last one.
      into: the transition that it begins with; None for a film's first shot.
    """

    begin: int
    end: int
    into: Transition | None


def split_into_shots(transitions: Iterable[Transition], frames: int) -> list[Shot]:
    """A film of `frames` frames, cut at the boundaries of its transitions; every frame in one shot.

    Transitions that would leave a shot without frames are dropped.
    """
    return list(ShotAssembler().finish(transitions, frames))


class ShotAssembler:
    """Cuts a film while its transitions come in, so that a film needs not be kept."""

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


class Detection(Protocol):
    """The search in one film, chunk by chunk, in memory that does not grow with the film.

    Attributes:
      decided: no transition whose boundary lies before this frame will be reported any more.
    """

    decided: int

    def add(self, chunk: Chunk) -> Sequence[Transition]:
        """Takes the next frames; the transitions that became sure by them, in order."""

    def finish(self) -> Sequence[Transition]:
        """After the last chunk: the transitions that were still open."""


class ShotDetector(Protocol):
    """What finds transitions; one serves any number of films.

    Attributes:
      name: with the settings or the hash of the weights that its results depend on.
      size: height and width of the small frames that it wants of `FrameReader`.
    """

    name: str
    size: tuple[int, int]

    def start(self, picture: VideoStream) -> Detection:
        """Begins with a film."""
