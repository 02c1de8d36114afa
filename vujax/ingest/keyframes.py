"""Keyframes: the pictures that stand for a shot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from vujax.catalog.ids import Id
from vujax.catalog.records import RecordWriter
from vujax.ingest.candidates import Candidates, jpeg
from vujax.video.clock import Clock
from vujax.video.seek import StillReader

NEAR_S = Fraction(1, 4)
"""A keyframe is at most this far from where it is wanted, or one frame where frames are rarer."""


@dataclass
class Keyframes:
    """Chooses a film's keyframes shot by shot and writes them.

    Shots under a second may have no candidate near enough; `fetch` gets those frames afterwards by
    jumps into the file. All others come from the one pass.

    Attributes:
      film: id of the film.
      clock: of its picture.
      positions: in each shot, 0 for its begin and 1 for its end.
      writer: of their JPEG files.
    """

    film: str
    clock: Clock
    positions: Sequence[float]
    writer: RecordWriter
    _rows: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    # By the PTS that is wanted: shot, number of the keyframe, and where the shot begins.
    _wanted: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Of the table, in order."""
        return [self._rows[place] for place in sorted(self._rows)]

    def add(self, shot: int, begin: int, end: int, candidates: Candidates) -> None:
        """Chooses for the shot from PTS `begin` to `end`; earlier candidates were forgotten."""
        times = candidates.times(end)
        written: dict[int, dict[str, Any]] = {}
        for number, position in enumerate(self.positions):
            target = begin + int(Fraction(position) * (end - begin))
            target = min(target, end - 1)
            nearest = min(range(len(times)), key=lambda i: abs(times[i] - target), default=None)
            if nearest is None or not self._is_near(times[nearest], target):
                self._wanted.setdefault(target, []).append((shot, number, begin))
            if nearest is None:
                continue
            if nearest not in written:
                written[nearest] = self._write(*candidates.picture(nearest))
            self._row(shot, number, written[nearest])

    def fetch(self, path: Path, side: int, quality: int, seek: bool) -> Iterator[float]:
        """Gets the frames that had no candidate near them; yields their seconds on the way.

        A frame that cannot be had leaves its shot with the nearest candidate, or without.
        """
        if not self._wanted:
            return
        for target, still in StillReader(path, self._wanted, side=side, seek=seek):
            height, width = still.image.shape[:2]
            data = jpeg(still.image, quality)
            places = [(s, n) for s, n, begin in self._wanted[target] if still.pts >= begin]
            made = self._write(still.pts, (width, height), data) if places else {}
            for shot, number in places:
                self._row(shot, number, made)
            yield float(self.clock.seconds(still.pts))

    def _is_near(self, pts: int, target: int) -> bool:
        ticks = abs(pts - target)
        return ticks * self.clock.time_base <= NEAR_S or ticks <= self.clock.frame_ticks

    def _write(self, pts: int, size: tuple[int, int], data: bytes) -> dict[str, Any]:
        return dict(
            pts=pts,
            seconds=float(self.clock.seconds(pts)),
            record=self.writer.write(data),
            width=size[0],
            height=size[1],
        )

    def _row(self, shot: int, number: int, made: dict[str, Any]) -> None:
        place = dict(film=self.film, shot=shot, keyframe=number, position=self.positions[number])
        name = str(Id(self.film, shot, keyframe=number))
        self._rows[shot, number] = place | made | {"id": name}
