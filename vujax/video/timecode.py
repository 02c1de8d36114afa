"""Film time: presentation timestamps (PTS), and seconds, frames and SMPTE timecode from them.

A PTS is an integer count of a stream's time base, and the only time that is stored. Seconds since
the start of the film, nominal frame numbers and timecode are computed from it on demand. Seconds
count from the start of the earliest stream, as in players; frames and timecode count from the first
picture, as in editors, whatever precedes it in the container.
"""

import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

NTSC = Fraction(1000, 1001)
DAY_HOURS = 24
MAX_GAP_S = 600  # a longer gap between two frames is a broken timestamp
TIMECODE = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;])(\d{2,4})", re.ASCII)


@dataclass(frozen=True)
class Clock:
    """Time base, origin and frame rate of one stream of a film.

    Attributes:
      time_base: seconds per tick.
      start: timestamp, in seconds, of the start of the film: that of its earliest stream. Players
        show this moment as 0:00, and seconds count from it.
      rate: nominal frames per second of the video.
      first_s: timestamp, in seconds, of the first picture, from which frames and timecode count;
        None: it is at `start`.
      timecode_frame: frame number of the first picture's source timecode, at `timecode_rate`.
      drop_frame: whether timecode is drop-frame; None: wherever it is defined, so that timecode
        follows the wall clock.
    """

    time_base: Fraction
    start: Fraction = Fraction(0)
    rate: Fraction = Fraction(25)
    first_s: Fraction | None = None
    timecode_frame: int = 0
    drop_frame: bool | None = None

    def seconds(self, pts: int) -> Fraction:
        """Return the exact seconds since the start of the film; negative before it."""
        return pts * self.time_base - self.start

    def pts(self, seconds: Fraction | float) -> int:
        """Return the tick nearest to a number of seconds since the start of the film."""
        return math.floor((Fraction(seconds) + self.start) / self.time_base + Fraction(1, 2))

    def frame(self, pts: int) -> int:
        """Return the nominal frame at `pts`: time since the first picture in units of a frame.

        With a variable frame rate this is a time, not a count of frames.
        """
        return _nearest((pts * self.time_base - self.origin_s) * self.rate)

    def timecode(self, pts: int, drop_frame: bool | None = None) -> str:
        """Return the SMPTE timecode of a frame, counted from that of the first picture.

        Args:
          pts: timestamp of the frame.
          drop_frame: whether to use drop-frame timecode; None for the clock's own setting.
        """
        since_first = pts * self.time_base - self.origin_s
        return self._format(_nearest(since_first * self.timecode_rate), drop_frame)

    def frame_timecode(self, frame: int) -> str:
        """Return the SMPTE timecode of a nominal frame, counted from 0 at the first picture."""
        if self._frames_per_count != 1:
            frame = _nearest(frame / self._frames_per_count)
        return self._format(frame, None)

    def parse_timecode(self, text: str) -> Fraction:
        """Return the seconds since the start of the film of a timecode that `timecode` returns.

        Timecodes before that of the first picture belong to the next day.

        Raises:
          ValueError: the text is not a timecode, or its frame does not exist at this rate.
        """
        rate = self.timecode_rate
        frame = parse_timecode(text, rate) - self.timecode_frame
        if frame < 0:
            frame += frames_per_day(rate, ";" in text)
        return frame / rate + self.origin_s - self.start

    def with_timecode(self, text: str) -> "Clock":
        """Return the clock with the source timecode of its first picture.

        Raises:
          ValueError: the text is not a timecode, or its frame does not exist at this rate.
        """
        frame = parse_timecode(text, self.timecode_rate)
        return replace(self, timecode_frame=frame, drop_frame=";" in text)

    def at_rate(self, rate: Fraction) -> "Clock":
        """Return the clock at another nominal rate, with the same hour, minute and second."""
        second, other = _nearest(self.timecode_rate), nearest_timecode_rate(rate)
        label = format_timecode(self.timecode_frame, self.timecode_rate, self.is_drop_frame)
        frames = int(label[9:]) * _nearest(other) // second
        drop = self.is_drop_frame and is_drop_frame_rate(other)
        skipped = drop and label[4] != "0" and label[6:8] == "00"
        frames = max(frames, _dropped(other)[0]) if skipped else frames
        frame = parse_timecode(f"{label[:8]}{';' if drop else ':'}{frames:02d}", other)
        is_default = self.drop_frame is None
        return replace(
            self, rate=rate, timecode_frame=frame, drop_frame=None if is_default else drop
        )

    @cached_property
    def origin_s(self) -> Fraction:
        """Timestamp, in seconds, of the first picture."""
        return self.start if self.first_s is None else self.first_s

    @cached_property
    def timecode_rate(self) -> Fraction:
        """Rate at which timecode counts, in frames per second."""
        return nearest_timecode_rate(self.rate)

    @cached_property
    def source_frame(self) -> int:
        """Frame number of the first picture's source timecode, in nominal frames."""
        return _nearest(self.timecode_frame * self._frames_per_count)

    @cached_property
    def is_drop_frame(self) -> bool:
        """True if timecode is drop-frame."""
        return (
            is_drop_frame_rate(self.timecode_rate) if self.drop_frame is None else self.drop_frame
        )

    @property
    def frame_ticks(self) -> int:
        """Ticks per nominal frame, at least one."""
        return max(1, _nearest(1 / (self.rate * self.time_base)))

    @cached_property
    def _frames_per_count(self) -> Fraction:
        return self.rate / self.timecode_rate

    def _format(self, frame: int, drop_frame: bool | None) -> str:
        drop = self.is_drop_frame if drop_frame is None else drop_frame
        return format_timecode(frame + self.timecode_frame, self.timecode_rate, drop)


def _nearest(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def nearest_timecode_rate(rate: Fraction) -> Fraction:
    """Return the rate at which timecode counts: the nearer of an integer N and N * 1000/1001."""
    whole = Fraction(max(1, _nearest(rate)))
    return min(whole, whole * NTSC, key=lambda candidate: abs(candidate - rate))


def is_drop_frame_rate(rate: Fraction) -> bool:
    """Return True for the rates that define drop-frame timecode: 30000/1001 and 60000/1001."""
    return rate in (30 * NTSC, 60 * NTSC)


def _dropped(rate: Fraction) -> tuple[int, int]:
    """Return the number of frame numbers dropped per minute, and of frame numbers per second."""
    if not is_drop_frame_rate(rate):
        raise ValueError(
            f"drop-frame timecode is defined at 30000/1001 and 60000/1001 frames/s, not at {rate}"
        )
    second = _nearest(rate)
    return second // 15, second


def format_timecode(frame: int, rate: Fraction, drop_frame: bool = False) -> str:
    """Return the timecode (SMPTE ST 12-1) of a frame counted from 0.

    It is 'HH:MM:SS:FF', or 'HH:MM:SS;FF' in drop-frame, which skips the first 2 frame numbers (4 at
    60000/1001) of every minute except each tenth and so stays within two frames of the clock. It
    wraps after 24 hours, as on a recorder. From 101 frames/s on, frames may have three digits.

    Raises:
      ValueError: drop-frame is not defined at this rate.
    """
    second = _nearest(rate)
    if drop_frame:
        frame = _with_gaps(frame, rate)
    frame %= DAY_HOURS * 3600 * second
    seconds, frames = divmod(frame, second)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    mark = ";" if drop_frame else ":"
    return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}{mark}{frames:02d}"


def frames_per_day(rate: Fraction, drop_frame: bool = False) -> int:
    """Return the number of frames after which timecode starts again at 00:00:00:00."""
    day = DAY_HOURS * 3600 * _nearest(rate)
    return day - _dropped(rate)[0] * DAY_HOURS * 54 if drop_frame else day


def _with_gaps(frame: int, rate: Fraction) -> int:
    """Return the drop-frame number of the frame with index `frame`."""
    drop, second = _dropped(rate)
    minute = 60 * second - drop  # frames in a minute that drops
    tens, rest = divmod(frame, 10 * minute + drop)
    dropping = max(0, rest - drop) // minute  # minutes since the tenth; the first drops none
    return frame + drop * (9 * tens + dropping)


def parse_timecode(text: str, rate: Fraction) -> int:
    """Return the frame, counted from 0, of a timecode 'HH:MM:SS:FF' or 'HH:MM:SS;FF'.

    Raises:
      ValueError: the text is not a timecode, or its frame does not exist at this rate.
    """
    match = TIMECODE.fullmatch(text)
    if not match:
        raise ValueError(
            f"{text!r} is not a timecode; expected HH:MM:SS:FF, or HH:MM:SS;FF in drop-frame"
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
        raise ValueError(f"timecode {text!r} names no frame at {rate} frames per second")
    return frame


class TimestampRepair:
    """Strictly increasing timestamps from those of a file.

    A frame without a timestamp, one that does not follow its predecessor, and one that jumps ahead
    by more than ten minutes get the timestamp of their predecessor plus one average frame.

    Attributes:
      repaired: number of timestamps that were replaced.
    """

    def __init__(self, clock: Clock) -> None:
        self.repaired = 0
        self._last: int | None = None
        self._first = clock.pts(0)
        self._step = clock.frame_ticks
        self._max_step = max(self._step, round(MAX_GAP_S / clock.time_base))

    def __call__(self, pts: int | None) -> int:
        """Return the timestamp to use for the next frame, whose own is `pts`."""
        last = self._last
        if pts is None or (last is not None and not 0 < pts - last <= self._max_step):
            pts = self._first if last is None else last + self._step
            self.repaired += 1
        self._last = pts
        return pts
