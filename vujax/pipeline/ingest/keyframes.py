"""Keyframes: the pictures that stand for a shot.

Frames from which keyframes may be chosen, until their shot is closed.
"""

import bisect
import io
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from vujax.catalog.ids import Id
from vujax.catalog.records import RecordWriter
from vujax.video.decode import Still
from vujax.video.seek import StillReader
from vujax.video.timecode import Clock

MAX_RAW = 64  # half a minute of candidates, of 260 KB each at 16:9


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """The picture, uint8 `[h w 3]`, as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


class CandidateBuffer:
    """Stills in order of time. The latest are kept as they are, older ones as JPEG in a file.

    So only what is chosen is encoded where shots are short, and memory has a bound where one is
    long.
    """

    def __init__(self, folder: Path, quality: int) -> None:
        """`folder` is where the file goes; it has no name there."""
        self._quality = quality
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed in __exit__)
        self._spilt: deque[tuple[int, tuple[int, int], tuple[int, int]]] = deque()
        self._raw: deque[Still] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, still: Still) -> None:
        """Takes the next one."""
        self._raw.append(still)
        if len(self._raw) > MAX_RAW:
            oldest = self._raw.popleft()
            data = encode_jpeg(oldest.image, self._quality)
            self._spilt.append((oldest.pts, _size(oldest), (self._file.seek(0, 2), len(data))))
            self._file.write(data)

    def times(self, end: int) -> list[int]:
        """PTS of those before `end`."""
        times = [pts for pts, *_ in self._spilt] + [still.pts for still in self._raw]
        return times[: bisect.bisect_left(times, end)]

    def picture(self, number: int) -> tuple[int, tuple[int, int], bytes]:
        """PTS, width and height, and JPEG of one, counted from the first that is held."""
        if number >= len(self._spilt):
            still = self._raw[number - len(self._spilt)]
            return still.pts, _size(still), encode_jpeg(still.image, self._quality)
        pts, size, (place, length) = self._spilt[number]
        self._file.seek(place)
        return pts, size, self._file.read(length)

    def forget(self, before: int) -> None:
        """Drops those before a PTS."""
        while self._spilt and self._spilt[0][0] < before:
            self._spilt.popleft()
        if not self._spilt:
            self._file.seek(0)
            self._file.truncate()
        while self._raw and self._raw[0].pts < before:
            self._raw.popleft()


def _size(still: Still) -> tuple[int, int]:
    height, width = still.image.shape[:2]
    return width, height


MAX_OFFSET_S = Fraction(1, 4)

"""A keyframe is at most this far from where it is wanted, or one frame where frames are rarer."""


@dataclass
class KeyframeSelector:
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

    def add(self, shot: int, begin: int, end: int, candidates: CandidateBuffer) -> None:
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
            data = encode_jpeg(still.image, quality)
            places = [(s, n) for s, n, begin in self._wanted[target] if still.pts >= begin]
            made = self._write(still.pts, (width, height), data) if places else {}
            for shot, number in places:
                self._row(shot, number, made)
            yield float(self.clock.seconds(still.pts))

    def _is_near(self, pts: int, target: int) -> bool:
        ticks = abs(pts - target)
        return ticks * self.clock.time_base <= MAX_OFFSET_S or ticks <= self.clock.frame_ticks

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
