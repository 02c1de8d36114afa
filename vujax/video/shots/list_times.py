"""Times of shot lists: timecodes in seconds, and the timecode from which a list counts."""

from dataclasses import dataclass
from fractions import Fraction

from vujax.video.timecode import (
    DAY_HOURS,
    frames_per_day,
    nearest_timecode_rate,
    parse_timecode,
)

MAX_LEAD_S = 300
"""Seconds of black or slate before the first shot of a program that starts at a whole hour."""


@dataclass(frozen=True)
class ListTimes:
    """Frame rate of a shot list, and the timecode of the first picture of its film.

    Attributes:
      rate: frames per second.
      source_timecode: 'HH:MM:SS:FF', or 'HH:MM:SS;FF' in drop-frame; '' if the film has none.
    """

    rate: Fraction
    source_timecode: str = ""

    def timecode_s(self, text: str, drop: bool = False) -> Fraction:
        """Return the seconds since 00:00:00:00 of a timecode.

        Raises:
          ValueError: it is not a timecode, or names no frame at this rate.
        """
        if len(text) > len("00:00:00:000"):
            raise ValueError(f"{text[:40]!r} is not a timecode")
        head, mark, frames = text.rpartition(":")
        if drop and mark and ";" not in text:
            text = f"{head};{frames}"
        counted = nearest_timecode_rate(self.rate)
        return parse_timecode(text, counted) / counted

    def source_s(self) -> Fraction:
        """Return the seconds since 00:00:00:00 of the first picture; 0 without a timecode."""
        try:
            return self.timecode_s(self.source_timecode) if self.source_timecode else Fraction(0)
        except ValueError:  # a list of another rate than the film's
            return self.timecode_s(f"{self.source_timecode[:8]}:00")

    def day_s(self, drop: bool) -> Fraction:
        """Return the seconds after which timecode begins again."""
        counted = nearest_timecode_rate(self.rate)
        return frames_per_day(counted, drop) / counted

    def since_source_s(self, seconds: Fraction) -> Fraction:
        """Return the seconds since the first picture; a list may count from 00:00:00:00 too."""
        source_s = self.source_s()
        return seconds - source_s if seconds >= source_s else seconds

    def origin_s(self, earliest_s: Fraction, drop: bool) -> Fraction:
        """Return the record time of the first picture, in an EDL whose records begin later."""
        if self.source_timecode and earliest_s >= self.source_s():
            return self.source_s()
        hours = [self.timecode_s(f"{hour:02d}:00:00:00", drop) for hour in range(DAY_HOURS)]
        hour_s = max(seconds for seconds in hours if seconds <= earliest_s)
        return hour_s if earliest_s - hour_s < MAX_LEAD_S else earliest_s
