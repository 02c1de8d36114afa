"""Keyframe selection: candidate frames held until their shot is closed, then the nearest ones."""

import bisect
import io
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from PIL import Image

from vujax.catalog.ids import Id
from vujax.catalog.records import RecordWriter
from vujax.video.decode import Still
from vujax.video.seek import StillReader
from vujax.video.timecode import Clock

MAX_RAW = 64  # half a minute of candidates, of 260 KB each at 16:9
MAX_OFFSET_S = Fraction(1, 4)
"""Maximum distance of a keyframe from its target, or one frame where frames are rarer."""


class Jpeg(NamedTuple):
    """Encoded candidate.

    Attributes:
      pts: timestamp of the frame.
      size: width and height.
      data: JPEG file.
    """

    pts: int
    size: tuple[int, int]
    data: bytes


class _Spilled(NamedTuple):
    pts: int
    size: tuple[int, int]
    offset: int
    length: int


class CandidateBuffer:
    """Candidate frames in order of time: the latest in memory, older ones as JPEG in a file.

    Where shots are short, only the selected frames are encoded; where one is long, memory stays
    bounded.
    """

    def __init__(self, folder: Path, quality: int) -> None:
        """Open an unnamed temporary file in `folder` for JPEGs of the given quality."""
        self._quality = quality
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed in __exit__)
        self._spilled: deque[_Spilled] = deque()
        self._raw: deque[Still] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, still: Still) -> None:
        """Append the next candidate."""
        self._raw.append(still)
        if len(self._raw) > MAX_RAW:
            oldest = self._raw.popleft()
            data = encode_jpeg(oldest.image, self._quality)
            offset = self._file.seek(0, 2)
            self._spilled.append(_Spilled(oldest.pts, _get_size(oldest), offset, len(data)))
            self._file.write(data)

    def times(self, end: int) -> list[int]:
        """Return the timestamps of the candidates before `end`."""
        times = [spilled.pts for spilled in self._spilled] + [still.pts for still in self._raw]
        return times[: bisect.bisect_left(times, end)]

    def encode(self, number: int) -> Jpeg:
        """Return a candidate as JPEG; `number` counts from the first one held."""
        if number >= len(self._spilled):
            still = self._raw[number - len(self._spilled)]
            return Jpeg(still.pts, _get_size(still), encode_jpeg(still.image, self._quality))
        spilled = self._spilled[number]
        self._file.seek(spilled.offset)
        return Jpeg(spilled.pts, spilled.size, self._file.read(spilled.length))

    def forget(self, before: int) -> None:
        """Drop the candidates before a timestamp."""
        while self._spilled and self._spilled[0].pts < before:
            self._spilled.popleft()
        if not self._spilled:
            self._file.seek(0)
            self._file.truncate()
        while self._raw and self._raw[0].pts < before:
            self._raw.popleft()


@dataclass
class KeyframeSelector:
    """Selection and storage of a film's keyframes, shot by shot.

    Shots under a second may have no candidate near enough to a target; `fetch` seeks those frames
    afterwards. All others come from the one pass.

    Attributes:
      film: id of the film.
      clock: clock of its video stream.
      positions: positions of the keyframes in each shot, 0 for its start and 1 for its end.
      writer: writer of their JPEG files.
    """

    film: str
    clock: Clock
    positions: Sequence[float]
    writer: RecordWriter
    _rows: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    # By target PTS: shot, number of the keyframe, and start of the shot.
    _wanted: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows of the keyframes table, in order."""
        return [self._rows[place] for place in sorted(self._rows)]

    def add(self, shot: int, start: int, end: int, candidates: CandidateBuffer) -> None:
        """Select the keyframes of a shot.

        Args:
          shot: number of the shot.
          start: timestamp of its first frame.
          end: timestamp of the next shot.
          candidates: candidates of the shot; earlier ones were dropped.
        """
        times = candidates.times(end)
        written: dict[int, dict[str, Any]] = {}
        for number, position in enumerate(self.positions):
            target = start + int(Fraction(position) * (end - start))
            target = min(target, end - 1)
            nearest = min(range(len(times)), key=lambda i: abs(times[i] - target), default=None)
            if nearest is None or not self._is_near(times[nearest], target):
                self._wanted.setdefault(target, []).append((shot, number, start))
            if nearest is None:
                continue
            if nearest not in written:
                written[nearest] = self._write(candidates.encode(nearest))
            self._add_row(shot, number, written[nearest])

    def fetch(self, path: Path, side: int, quality: int, seek: bool) -> Iterator[float]:
        """Read the frames without a candidate near them; yield their seconds on the way.

        If a frame cannot be decoded, its shot keeps the nearest candidate, or has no keyframe.

        Args:
          path: path of the film.
          side: shorter side of a keyframe in pixels.
          quality: JPEG quality.
          seek: see `StillReader`.
        """
        if not self._wanted:
            return
        for target, still in StillReader(path, self._wanted, side=side, seek=seek):
            places = [(s, n) for s, n, start in self._wanted[target] if still.pts >= start]
            if places:
                data = encode_jpeg(still.image, quality)
                written = self._write(Jpeg(still.pts, _get_size(still), data))
                for shot, number in places:
                    self._add_row(shot, number, written)
            yield float(self.clock.seconds(still.pts))

    def _is_near(self, pts: int, target: int) -> bool:
        ticks = abs(pts - target)
        return ticks * self.clock.time_base <= MAX_OFFSET_S or ticks <= self.clock.frame_ticks

    def _write(self, jpeg: Jpeg) -> dict[str, Any]:
        return dict(
            pts=jpeg.pts,
            seconds=float(self.clock.seconds(jpeg.pts)),
            record=self.writer.write(jpeg.data),
            width=jpeg.size[0],
            height=jpeg.size[1],
        )

    def _add_row(self, shot: int, number: int, written: dict[str, Any]) -> None:
        place = dict(film=self.film, shot=shot, keyframe=number, position=self.positions[number])
        name = str(Id(self.film, shot, keyframe=number))
        self._rows[shot, number] = place | written | {"id": name}


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """Encode an image, uint8 `[h w 3]`, as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _get_size(still: Still) -> tuple[int, int]:
    """Return width and height."""
    height, width = still.image.shape[:2]
    return width, height
