"""A film's time: presentation timestamps (PTS) as rationals; seconds, frames and timecode as views.

A PTS is an integer count of a stream's time base. It is the only time that is stored: seconds since
the film's start, nominal frame numbers and SMPTE timecode are computed from it when somebody reads.
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction

NTSC = Fraction(1000, 1001)
DAY_HOURS = 24
MOST_GAP_S = 600  # a longer silence between two frames is a broken timestamp
TIMECODE = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;])(\d\d)")


@dataclass(frozen=True)
class Clock:
    """How one stream of a film counts time.

    Attributes:
      time_base: seconds of one tick.
      start: the timestamp, in seconds, at which the film begins: the first of its streams. Players
        show this moment as 0:00, so seconds, frames and timecode count from it.
      rate: average frames per second of the picture.
    """

    time_base: Fraction
    start: Fraction = Fraction(0)
    rate: Fraction = Fraction(25)

    def seconds(self, pts: int) -> Fraction:
        """Seconds since the film's start, exactly; negative before it."""
        return pts * self.time_base - self.start

    def pts(self, seconds: Fraction | float) -> int:
        """The tick nearest to a number of seconds since the film's start."""
        return math.floor((Fraction(seconds) + self.start) / self.time_base + Fraction(1, 2))

    def frame(self, pts: int) -> int:
        """The nominal frame at `pts`: elapsed time in units of the average frame, from 0.

        With a variable frame rate this is a time, not a count of pictures.
        """
        return _nearest(self.seconds(pts) * self.rate)

    def timecode(self, pts: int, drop_frame: bool | None = None) -> str:
        """SMPTE timecode, 00:00:00:00 at the film's start.

        Args:
          pts: of a frame.
          drop_frame: None: drop-frame wherever it is defined, so that the timecode follows the wall
            clock.
        """
        rate = timecode_rate(self.rate)
        drop = can_drop(rate) if drop_frame is None else drop_frame
        return timecode(_nearest(self.seconds(pts) * rate), rate, drop)

    @property
    def frame_ticks(self) -> int:
        """Ticks of one average frame, at least one."""
        return max(1, _nearest(1 / (self.rate * self.time_base)))


def _nearest(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def timecode_rate(rate: Fraction) -> Fraction:
    """The rate at which timecode counts: an integer N, or N * 1000/1001, whichever is nearer."""
    whole = Fraction(max(1, _nearest(rate)))
    return min(whole, whole * NTSC, key=lambda candidate: abs(candidate - rate))


def can_drop(rate: Fraction) -> bool:
    """Whether drop-frame is defined: for 30000/1001 and 60000/1001 frames per second."""
    return rate in (30 * NTSC, 60 * NTSC)


def _dropped(rate: Fraction) -> tuple[int, int]:
    """Frame numbers that are left out a minute, and the numbers that a second has."""
    if not can_drop(rate):
        raise ValueError(
            f"drop-frame timecode is defined at 30000/1001 and 60000/1001 frames/s, not at {rate}"
        )
    second = _nearest(rate)
    return second // 15, second


def timecode(frame: int, rate: Fraction, drop_frame: bool = False) -> str:
    """'HH:MM:SS:FF', or 'HH:MM:SS;FF' in drop-frame, of a frame counted from 0 (SMPTE ST 12-1).

    Drop-frame leaves out the first 2 frame numbers (4 at 60000/1001) of every minute but each
    tenth, which keeps the code within two frames of the clock. A day wraps, as on a recorder.

    Raises:
      ValueError: drop-frame is not defined at this rate.
    """
    second = _nearest(rate)
    if drop_frame:
        frame = _with_gaps(frame, *_dropped(rate))
    frame %= DAY_HOURS * 3600 * second
    seconds, frames = divmod(frame, second)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    mark = ";" if drop_frame else ":"
    return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}{mark}{frames:02d}"


def _with_gaps(frame: int, drop: int, second: int) -> int:
    """The number that drop-frame gives to the `frame`-th picture."""
    minute = 60 * second - drop  # pictures in a minute that drops
    tens, rest = divmod(frame, 10 * minute + drop)
    dropping = max(0, rest - drop) // minute  # minutes begun since the tenth; the first drops none
    return frame + drop * (9 * tens + dropping)


def parse_timecode(text: str, rate: Fraction) -> int:
    """The frame, counted from 0, that 'HH:MM:SS:FF' or 'HH:MM:SS;FF' names.

    Raises:
      ValueError: it is no timecode, or names a frame that does not exist at this rate.
    """
    match = TIMECODE.fullmatch(text)
    if not match:
        raise ValueError(
            f"{text!r} is no timecode: write HH:MM:SS:FF, or HH:MM:SS;FF in drop-frame"
        )
    hours, minutes, seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
    second = _nearest(rate)
    total = 60 * hours + minutes
    frame = (60 * total + seconds) * second + frames
    skipped = 0
    if match[4] == ";":
        drop, _ = _dropped(rate)
        skipped = drop if minutes % 10 and not seconds else 0
        frame -= drop * (total - total // 10)
    if hours >= DAY_HOURS or not skipped <= frames < second:
        raise ValueError(f"there is no frame {text!r} at {rate} frames per second")
    return frame


class Steady:
    """Timestamps that always grow, made from those that a file has.

    A frame without a timestamp, one that is not after its predecessor, and one that leaps ahead by
    more than ten minutes are given their predecessor's plus one average frame.

    Attributes:
      repaired: timestamps that were made up.
    """

    def __init__(self, clock: Clock) -> None:
        self.repaired = 0
        self._last: int | None = None
        self._first = clock.pts(0)
        self._step = clock.frame_ticks
        self._most = max(self._step, round(MOST_GAP_S / clock.time_base))

    def __call__(self, pts: int | None) -> int:
        """The timestamp to use for the next frame, whose own is `pts`."""
        last = self._last
        if pts is None or (last is not None and not 0 < pts - last <= self._most):
            pts = self._first if last is None else last + self._step
            self.repaired += 1
        self._last = pts
        return pts
