"""scenes.breaks.csv: black and silent intervals of the whole film, places for breaks.

Intervals are black or silent by the rules of `vujax.scenes.break_cues`, not only at the boundaries
of scenes. The film is decoded once more, which takes as long as its shots did.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vujax.scenes.break_cues import find_black, find_silences
from vujax.scenes.exports.base import SceneExport
from vujax.scenes.types import DetectedScenes
from vujax.utils.io import write_text
from vujax.video.probe import FilmError, probe_film

COLUMNS = (
    "kind",
    "begin_s",
    "end_s",
    "length_s",
    "begin_timecode",
    "end_timecode",
    "black_and_silent",
    "scene",
    "scene_starts",
)


@dataclass(frozen=True)
class Interval:
    """A black or silent interval of a film.

    Attributes:
      kind: 'black' or 'silent'.
      start_s: start in seconds since the start of the film.
      end_s: end in seconds.
    """

    kind: str
    start_s: float
    end_s: float

    def overlaps(self, other: "Interval") -> bool:
        """Return True if two intervals share a moment."""
        return self.start_s < other.end_s and other.start_s < self.end_s


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically; return a note if the sound was not measured.

    Raises:
      FilmError: the film cannot be read.
      FileNotFoundError: the film is missing.
    """
    intervals, notes = find_intervals(scenes)
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(COLUMNS)
    table.writerows(_rows(intervals, scenes))
    write_text(path, file.getvalue(), newline="")
    return notes


def find_intervals(scenes: DetectedScenes) -> tuple[list[Interval], list[str]]:
    """Return the intervals in order of their starts, and notes."""
    clock, notes = scenes.clock, []
    found = [
        Interval("black", float(clock.seconds(start)), float(clock.seconds(end)))
        for start, end in find_black(scenes.path)
    ]
    if probe_film(scenes.path).audio is None:
        notes.append("The film has no sound: the list of breaks uses the image only.")
    else:
        try:
            silences = find_silences(scenes.path, scenes.end_s)
            found += [Interval("silent", start_s, end_s) for start_s, end_s in silences]
        except FilmError as error:
            notes.append(f"The list of breaks uses the image only: {error}.")
    return sorted(found, key=lambda interval: (interval.start_s, interval.kind)), notes


def _rows(intervals: list[Interval], scenes: DetectedScenes) -> Iterator[list[str | int]]:
    clock = scenes.clock
    for interval in intervals:
        others = (other for other in intervals if other.kind != interval.kind)
        both = any(interval.overlaps(other) for other in others)
        starts = [s for s in scenes.scenes if s.start_s <= interval.end_s]
        scene = starts[-1] if starts else scenes.scenes[0]
        times = (interval.start_s, interval.end_s)
        yield [
            interval.kind,
            *(f"{time:.3f}" for time in (*times, interval.end_s - interval.start_s)),
            *(clock.timecode(clock.pts(time)) for time in times),
            "yes" if both else "no",
            scene.number,
            "yes" if interval.start_s <= scene.start_s else "no",
        ]


EXPORT = SceneExport(suffix=".breaks.csv", write=write)
