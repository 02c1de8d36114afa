"""All frames of a film, small, with the larger ones that keyframes are chosen from: one pass.

Pictures are scaled by libswscale straight from the decoder's YUV; a full RGB frame never exists.
Memory does not grow with the film's length.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.frame import Frame
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from vujax.video.probe import Film, FilmError, Part, Picture, named, only, open_film, probe
from vujax.video.timecode import Steady

SMALL = (27, 48)
"""Height and width that TransNetV2 sees (Soucek and Lokoc 2020, arXiv:2008.04838)."""
SIDE = 224
SCALING = Interpolation.BICUBIC  # ffmpeg's default, with which the original TransNetV2 reads films
MOST_STEP_S = 1.0  # between frames of a film of constant rate; more, and some are lost
LONGEST = 8  # sides: a picture of 1 x 10,000 pixels must not become one of 224 x 2,240,000


@dataclass(frozen=True)
class Still:
    """One frame.

    Attributes:
      pts: in ticks of the picture's clock.
      image: uint8 `[h w 3]` RGB, upright, with square pixels.
    """

    pts: int
    image: np.ndarray


@dataclass(frozen=True)
class Chunk:
    """Successive frames.

    Attributes:
      pts: int64 `[n]`, growing, in ticks of the picture's clock.
      small: uint8 `[n h w 3]` RGB, upright.
      candidates: those of these frames that were also kept larger.
    """

    pts: np.ndarray
    small: np.ndarray
    candidates: tuple[Still, ...]


@dataclass
class Ended:
    """How reading a stream ended.

    Attributes:
      reason: why less than the whole was had, in one sentence; '' when all of it was.
      frames: pictures (or samples of sound) delivered.
      damaged: packets that could not be decoded, and frames that show it.
      repaired: timestamps that were missing, went backwards or leapt, and were made up.
      gap_s: seconds without frames where a constant rate promises some.
      stopped: libav's reason when it could not go on before the file's end.
    """

    reason: str = "it was not read to its end"
    frames: int = 0
    damaged: int = 0
    repaired: int = 0
    gap_s: float = 0.0
    stopped: str = ""

    @property
    def whole(self) -> bool:
        """Whether everything that the file declares was read."""
        return not self.reason

    def close(self, what: str, end_s: float, part: Part) -> None:
        """Sets the reason, now that `part` was read up to the timestamp `end_s`."""
        reasons, declared_s = [], part.declared_end_s
        if self.stopped:
            reasons.append(f"reading stopped at {end_s:.2f} s ({self.stopped})")
        elif not self.frames:
            reasons.append(f"no {what} of it can be decoded")
        elif declared_s is not None and end_s < declared_s - max(Fraction(1), part.duration_s / 50):
            reasons.append(
                f"it ends at {end_s:.2f} s though its header says {float(declared_s):.2f} s"
            )
        if self.gap_s:
            reasons.append(f"frames are missing for {self.gap_s:.2f} s")
        if self.damaged:
            reasons.append(f"{self.damaged} of its packets or frames are damaged")
        self.reason = "; ".join(reasons)


def film_with_picture(path: str | Path) -> tuple[Film, Picture]:
    """What the file is, when it has a picture.

    Raises:
      FilmError: it has none, or is no film.
    """
    film = probe(path)
    if film.picture is None:
        raise FilmError(f"{named(film.path)} has no picture: it holds sound only")
    return film, film.picture


def packets(container: InputContainer, stream: Stream, ended: Ended) -> Iterator[Packet | None]:
    """The stream's packets; the last one makes the decoder hand out what it still holds."""
    try:
        yield from container.demux(stream)
    except av.FFmpegError as error:
        ended.stopped = error.strerror
        yield None
    except IndexError:  # PyAV's, at the end of a file in which more streams appeared on the way
        yield None


def decoded(source: Iterator[Packet | None], stream: Stream, ended: Ended) -> Iterator[Frame]:
    """Frames in the order shown; damaged packets are counted and passed over."""
    for packet in source:
        try:
            frames = stream.codec_context.decode(packet)
        except av.FFmpegError:
            ended.damaged += 1
            continue
        ended.damaged += sum(frame.is_corrupt for frame in frames)
        yield from frames


def still_size(shown: tuple[int, int], side: int) -> tuple[int, int]:
    """Height and width of a still: the shorter side `side`, or the film's own if that is less."""
    short, long = min(shown), max(shown)
    small = min(side, short)
    large = min(round(long * small / short), LONGEST * max(small, side))
    return (small, large) if shown[0] >= shown[1] else (large, small)


class Scaler:
    """From a decoder's frame to upright RGB of a given size."""

    def __init__(self, size: tuple[int, int], rotation: int) -> None:
        """Scales to `size` (height, width), turning counter-clockwise by `rotation` degrees."""
        self._turns = rotation // 90
        self._height, self._width = size[::-1] if self._turns % 2 else size
        self._reformatter = VideoReformatter()  # keeps libswscale's tables from frame to frame

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        """uint8 `[height width 3]`; a view, which lives on without the frame."""
        scaled = self._reformatter.reformat(
            frame,
            self._width,
            self._height,
            "rgb24",
            interpolation=SCALING,
            threads=1,
        )
        return np.rot90(scaled.to_ndarray(), self._turns)


class Pace:
    """Says which frames to keep: the first, the last, and few enough between for gaps of `ticks`.

    So no frame is farther than `ticks` / 2 from a kept one, unless frames are rarer than that.
    """

    def __init__(self, ticks: int) -> None:
        self._ticks = ticks
        self._kept: int | None = None

    def __call__(self, pts: int, following: int | None) -> bool:
        """Whether to keep the frame at `pts`: there is no next one, or that would be late."""
        late = self._kept is None or following is None or following > self._kept + self._ticks
        if late:
            self._kept = pts
        return late


class FrameReader:
    """Streams a film's frames; iterate it for chunks, then ask `ended` how it went.

    Attributes:
      film: what the file is.
      picture: its video stream.
      ended: how the last iteration ended.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        size: tuple[int, int] = SMALL,
        every_s: float | None = 0.5,
        side: int = SIDE,
        chunk: int = 256,
    ) -> None:
        """Opens nothing for long: each iteration reads the file anew.

        Args:
          path: of the film.
          size: height and width of the small frames, whatever the film's aspect.
          every_s: seconds between candidates; None: no candidates.
          side: shorter side of a candidate; films smaller than this are not enlarged.
          chunk: frames per chunk, the last one may have fewer.

        Raises:
          FilmError: the file has no picture that can be decoded.
          FileNotFoundError, PermissionError: the file cannot be had.
        """
        self.film, self.picture = film_with_picture(path)
        self.ended = Ended()
        self._size, self._every_s, self._side, self._chunk = size, every_s, side, chunk
        self._most_step = round(MOST_STEP_S / self.picture.clock.time_base)

    def __iter__(self) -> Iterator[Chunk]:
        self.ended = Ended()
        rows: list[tuple[int, np.ndarray]] = []
        stills: list[Still] = []
        for pts, small, still in self._pictures(self.ended):
            rows.append((pts, small))
            if still is not None:
                stills.append(Still(pts, still))
            if len(rows) == self._chunk:
                yield _chunk(rows, stills)
                rows, stills = [], []
        if rows:
            yield _chunk(rows, stills)

    def _pictures(self, ended: Ended) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        picture, clock = self.picture, self.picture.clock
        shrink = Scaler(self._size, picture.rotation)
        enlarge = Scaler(still_size(picture.shown, self._side), picture.rotation)
        keep = self._pace()
        pts = last = round(picture.start_s / clock.time_base)
        for frame, pts, following in _with_next(self._frames(ended)):
            try:
                small = shrink(frame)
                still = np.ascontiguousarray(enlarge(frame)) if keep(pts, following) else None
            except av.FFmpegError:
                ended.damaged += 1
                continue
            step, last = pts - last, pts
            if step > self._most_step and not picture.variable_rate:
                ended.gap_s += float(step * clock.time_base)
            ended.frames += 1
            yield pts, small, still
        end_s = float((pts + clock.frame_ticks) * clock.time_base)
        ended.close("frame", end_s, picture)

    def _frames(self, ended: Ended) -> Iterator[tuple[VideoFrame, int]]:
        steady = Steady(self.picture.clock)
        with open_film(self.film.path) as container:
            stream = only(container, self.picture.index)
            for frame in decoded(packets(container, stream, ended), stream, ended):
                yield frame, steady(frame.pts)
        ended.repaired = steady.repaired

    def _pace(self) -> Callable[[int, int | None], bool]:
        if self._every_s is None:
            return lambda pts, following: False
        return Pace(round(self._every_s / self.picture.clock.time_base))


def _with_next(
    frames: Iterator[tuple[VideoFrame, int]],
) -> Iterator[tuple[VideoFrame, int, int | None]]:
    """Each frame with its time and the next one's."""
    before = next(frames, None)
    for frame in frames:
        yield *before, frame[1]
        before = frame
    if before is not None:
        yield *before, None


def _chunk(rows: list[tuple[int, np.ndarray]], stills: list[Still]) -> Chunk:
    times, pictures = zip(*rows, strict=True)
    return Chunk(np.array(times, np.int64), np.stack(pictures), tuple(stills))
