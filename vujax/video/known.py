"""Shots that are known already, as a detector: nothing is searched, times become frames.

A list gives times (see `shot_lists`); a shot begins at the frame nearest to its time, by the
frames' PTS. Where listed shots leave a gap or overlap, a 'gradual' transition lies. The first shot
begins with the film, and the last one lasts to its end.
"""

import hashlib
import itertools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np

from vujax.video.clock import Clock
from vujax.video.decode import SMALL, Chunk
from vujax.video.probe import Picture, named
from vujax.video.shot_lists import Span, read_shots
from vujax.video.shots import Transition

Joint = tuple[Fraction, Fraction, str]
"""Seconds at which the old shot is over and the new one is alone; the transition's kind."""


class KnownShots:
    """A `ShotDetector` that says what a file says; it serves one film, or cuts of equal timing.

    Attributes:
      name: with the list's hash and the rate, if one was given.
      size: height and width of the small frames, which it does not look at.
    """

    size = SMALL

    def __init__(self, path: str | Path, *, rate: Fraction | None = None) -> None:
        """Takes note of the file; it is read when the film begins.

        Args:
          path: of a .txt (MovieNet), .edl (CMX3600), .csv or .tsv file.
          rate: frames per second that the list counts; the film's own by default.

        Raises:
          ValueError: the rate is not above 0.
          OSError: the file cannot be read.
        """
        if rate is not None and rate <= 0:
            raise ValueError(f"rate={rate} cannot be: give frames per second.")
        self._path, self._rate = Path(path), rate
        if not self._path.is_file():
            raise FileNotFoundError(f"{named(self._path)} is no file: give that of a shot list.")
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.name = f"known-{digest[:8]}" + (f"-r{rate}" if rate else "")

    def start(self, picture: Picture) -> "KnownDetection":
        """Begins with a film.

        Raises:
          ValueError: the file is no shot list; names the file, the line and the remedy.
          OSError: it cannot be read.
        """
        spans = read_shots(self._path, self._rate or picture.clock.rate)
        return KnownDetection(joints(spans, half_frame(picture.clock)), picture.clock)


def half_frame(clock: Clock) -> Fraction:
    """Seconds within which a time belongs to a frame."""
    return 1 / (2 * clock.rate)


def joints(spans: list[Span], tolerance: Fraction) -> list[Joint]:
    """The transitions between successive shots; gaps below `tolerance` seconds are none."""
    found: list[Joint] = []
    for old, new in itertools.pairwise(spans):
        over = new.begin if old.end is None else old.end
        if new.blend:
            found.append((new.begin, new.begin + new.blend, new.kind))
        elif abs(over - new.begin) < tolerance:
            found.append((new.begin, new.begin, new.kind))
        else:
            kind = "gradual" if new.kind == "cut" else new.kind
            found.append((min(over, new.begin), max(over, new.begin), kind))
    return found


class KnownDetection:
    """A `Detection`: finds the frames of known times.

    Attributes:
      decided: see `Detection`.
      beyond: after `finish`, how many listed transitions the film was too short for; many of them
        say that it is another film's list, or has another rate.
    """

    def __init__(self, known: list[Joint], clock: Clock) -> None:
        """Begins with a film of this clock."""
        self.decided = 0
        self.beyond = 0
        self._kinds = [kind for _, _, kind in known]
        # The first frame that belongs to each moment, in ticks: it begins half a frame before.
        moments = [second - half_frame(clock) for joint in known for second in joint[:2]]
        ticks = (math.ceil((moment + clock.start) / clock.time_base) for moment in moments)
        self._limits = list(itertools.accumulate(ticks, max))
        self._frames: list[int] = []  # of the limits that were passed
        self._arrived = 0

    def add(self, chunk: Chunk) -> list[Transition]:
        """Takes the next frames; the transitions that end among them."""
        done, had = len(self._frames), len(self._frames) // 2
        passed = int(np.searchsorted(self._limits, chunk.pts[-1], "right"))
        places = np.searchsorted(chunk.pts, self._limits[done:passed])
        self._frames += (self._arrived + places).tolist()
        self._arrived += len(chunk.pts)
        is_open = len(self._frames) % 2
        self.decided = self._frames[-1] if is_open else self._arrived
        found = (self._transition(i) for i in range(had, len(self._frames) // 2))
        return [t for t in found if t.last >= 0]

    def finish(self) -> list[Transition]:
        """After the last chunk: nothing is open, for a transition needs a shot after it."""
        self.decided = self._arrived
        self.beyond = len(self._kinds) - len(self._frames) // 2
        return []

    def _transition(self, i: int) -> Transition:
        over, first = self._frames[2 * i : 2 * i + 2]
        kind = self._kinds[i]
        return Transition(over - 1, first, "cut" if over == first and kind == "gradual" else kind)
