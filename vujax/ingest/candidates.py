"""Frames from which keyframes may be chosen, until their shot is closed."""

import bisect
import io
import tempfile
from collections import deque
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from vujax.video.decode import Still

MOST_RAW = 64  # half a minute of candidates, of 260 KB each at 16:9


def jpeg(image: np.ndarray, quality: int) -> bytes:
    """The picture, uint8 `[h w 3]`, as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


class Candidates:
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
        if len(self._raw) > MOST_RAW:
            oldest = self._raw.popleft()
            data = jpeg(oldest.image, self._quality)
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
            return still.pts, _size(still), jpeg(still.image, self._quality)
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
