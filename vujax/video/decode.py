"""One-pass decoding of a film: small frames, and larger stills as keyframe candidates.

libswscale scales frames straight from the decoder's YUV; a full-size RGB frame never exists. Memory
does not grow with the length of the film.
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

from vujax.video import tone_map
from vujax.video.probe import (
    FilmError,
    FilmInfo,
    StreamInfo,
    VideoStream,
    isolate_stream,
    open_container,
    probe_film,
    quote_path,
)
from vujax.video.timecode import TimestampRepair

SMALL_SIZE = (27, 48)
"""Height and width of TransNetV2's input (Soucek and Lokoc 2020, arXiv:2008.04838)."""
STILL_SIDE = 224
SCALING = Interpolation.BICUBIC  # ffmpeg's default, with which the original TransNetV2 reads films
MAX_STEP_S = 1.0  # between frames of a film of constant rate; a longer step means lost frames
MAX_ASPECT = 8  # long side / short side of a still: 1 x 10,000 must not become 224 x 2,240,000


@dataclass(frozen=True)
class Still:
    """One decoded frame.

    Attributes:
      pts: timestamp in ticks of the video stream's clock.
      image: uint8 `[h w 3]` RGB, upright, with square pixels.
    """

    pts: int
    image: np.ndarray


@dataclass(frozen=True)
class Chunk:
    """Consecutive frames of a film.

    Attributes:
      pts: int64 `[n]`, increasing, in ticks of the video stream's clock.
      small: uint8 `[n h w 3]` RGB, upright.
      candidates: larger copies of some of these frames.
    """

    pts: np.ndarray
    small: np.ndarray
    candidates: tuple[Still, ...]


@dataclass
class ReadStatus:
    """Outcome of reading one stream.

    Attributes:
      reason: one sentence on what is missing; '' if the stream was read completely.
      frames: number of frames (or audio samples) delivered.
      damaged: number of packets that failed to decode and of frames marked corrupt.
      repaired: number of timestamps that were missing, decreasing or too far ahead, and replaced.
      gap_s: seconds without frames in a stream of constant rate.
      stopped: libav's reason for stopping before the end of the file.
    """

    reason: str = "it was not read to its end"
    frames: int = 0
    damaged: int = 0
    repaired: int = 0
    gap_s: float = 0.0
    stopped: str = ""

    @property
    def is_complete(self) -> bool:
        """True if everything that the file declares was read."""
        return not self.reason

    def close(self, kind: str, end_s: float, stream: StreamInfo) -> None:
        """Set the reason after a stream was read.

        Args:
          kind: 'frame' or 'sound', for the reason.
          end_s: timestamp up to which the stream was read, in seconds.
          stream: headers of the stream.
        """
        reasons, declared_s = [], stream.declared_end_s
        if self.stopped:
            reasons.append(f"reading stopped at {end_s:.2f} s ({self.stopped})")
        elif not self.frames:
            reasons.append(f"no {kind} of it can be decoded")
        elif declared_s is not None and end_s < declared_s - _tolerance_s(stream):
            reasons.append(
                f"it ends at {end_s:.2f} s though its header says {float(declared_s):.2f} s"
            )
        if self.gap_s:
            reasons.append(f"frames are missing for {self.gap_s:.2f} s")
        if self.damaged:
            reasons.append(f"{self.damaged} of its packets or frames are damaged")
        self.reason = "; ".join(reasons)


class FrameReader:
    """Streaming reader of a film's frames: iterate it for chunks, then read `status`.

    Attributes:
      film: headers of the file.
      video: headers of its video stream.
      status: outcome of the last iteration.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        size: tuple[int, int] = SMALL_SIZE,
        every_s: float | None = 0.5,
        side: int = STILL_SIDE,
        chunk: int = 256,
    ) -> None:
        """Read the headers; each iteration opens the file again.

        Args:
          path: path of the film.
          size: height and width of the small frames, whatever the aspect ratio of the film.
          every_s: seconds between candidates; None for no candidates.
          side: shorter side of a candidate in pixels; smaller films are not enlarged.
          chunk: frames per chunk; the last chunk may have fewer.

        Raises:
          FilmError: the file has no decodable video stream.
          FileNotFoundError, PermissionError: the file is missing or not readable.
        """
        self.film, self.video = probe_stream(path)
        self.status = ReadStatus()
        self._size, self._every_s, self._side, self._chunk = size, every_s, side, chunk
        self._max_step = round(MAX_STEP_S / self.video.clock.time_base)

    def __iter__(self) -> Iterator[Chunk]:
        self.status = ReadStatus()
        rows: list[tuple[int, np.ndarray]] = []
        stills: list[Still] = []
        for pts, small, still in self._images(self.status):
            rows.append((pts, small))
            if still is not None:
                stills.append(Still(pts, still))
            if len(rows) == self._chunk:
                yield _build_chunk(rows, stills)
                rows, stills = [], []
        if rows:
            yield _build_chunk(rows, stills)

    def _images(self, status: ReadStatus) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        video, clock = self.video, self.video.clock
        scale_small = Scaler(self._size, video.rotation, video.mirrored)
        size = compute_still_size(video.shown, self._side)
        scale_still = Scaler(size, video.rotation, video.mirrored, tone_mapped=True)
        is_candidate = self._pacer()
        pts = last = round(video.start_s / clock.time_base)
        for frame, pts, following in with_next(self.frames(status)):
            try:
                small = scale_small(frame)
                keep = is_candidate(pts, following)
                still = np.ascontiguousarray(scale_still(frame)) if keep else None
            except av.FFmpegError:
                status.damaged += 1
                continue
            step, last = pts - last, pts
            if step > self._max_step and not video.variable_rate:
                status.gap_s += float(step * clock.time_base)
            status.frames += 1
            yield pts, small, still
        end_s = float((pts + clock.frame_ticks) * clock.time_base)
        status.close("frame", end_s, video)

    def frames(self, status: ReadStatus) -> Iterator[tuple[VideoFrame, int]]:
        """Yield every frame as it is decoded, with its PTS in ticks of the stream's clock.

        Args:
          status: counts damaged packets and repaired timestamps.
        """
        repair = TimestampRepair(self.video.clock)
        with open_container(self.film.path) as container:
            stream = isolate_stream(container, self.video.index)
            packets = demux_packets(container, stream, status)
            for frame in decode_frames(packets, stream, status):
                yield frame, repair(frame.pts)
        status.repaired = repair.repaired

    def _pacer(self) -> Callable[[int, int | None], bool]:
        if self._every_s is None:
            return lambda pts, following: False
        return FramePacer(round(self._every_s / self.video.clock.time_base))


def probe_stream(path: str | Path) -> tuple[FilmInfo, VideoStream]:
    """Return the headers of a file and of its video stream.

    Raises:
      FilmError: the file has no video stream, or is not a film.
    """
    film = probe_film(path)
    if film.video is None:
        raise FilmError(f"{quote_path(film.path)} has no video stream, only sound")
    return film, film.video


def demux_packets(
    container: InputContainer, stream: Stream, status: ReadStatus
) -> Iterator[Packet | None]:
    """Yield the packets of a stream, then None, on which the decoder returns what it holds."""
    try:
        yield from container.demux(stream)
    except av.FFmpegError as error:
        status.stopped = error.strerror
        yield None
    except IndexError:  # PyAV's, at the end of a file in which more streams appeared on the way
        yield None


def decode_frames(
    packets: Iterator[Packet | None], stream: Stream, status: ReadStatus
) -> Iterator[Frame]:
    """Yield frames in presentation order; count damaged packets and skip them."""
    for packet in packets:
        try:
            frames = stream.codec_context.decode(packet)
        except av.FFmpegError:
            status.damaged += 1
            continue
        status.damaged += sum(frame.is_corrupt for frame in frames)
        yield from frames


def compute_still_size(shown: tuple[int, int], side: int) -> tuple[int, int]:
    """Return height and width of a still whose shorter side is `side`, or the film's if smaller.

    Args:
      shown: displayed width and height of the film.
      side: shorter side in pixels.
    """
    short, long = min(shown), max(shown)
    small = min(side, short)
    large = min(round(long * small / short), MAX_ASPECT * max(small, side))
    return (small, large) if shown[0] >= shown[1] else (large, small)


class Scaler:
    """Conversion of a decoder's frame to upright RGB of a given size."""

    def __init__(
        self,
        size: tuple[int, int],
        rotation: int,
        mirrored: bool = False,
        *,
        tone_mapped: bool = False,
    ) -> None:
        """Set the conversion.

        Args:
          size: height and width of the result.
          rotation: degrees counter-clockwise by which frames are turned.
          mirrored: whether left and right are exchanged after that.
          tone_mapped: whether HDR frames are converted to standard range; see
            `vujax.video.tone_map`.
        """
        self._tone_mapped = tone_mapped
        self._step = -1 if mirrored else 1
        self._turns = rotation // 90
        self._height, self._width = size[::-1] if self._turns % 2 else size
        self._reformatter = VideoReformatter()  # keeps libswscale's tables from frame to frame

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        """Return uint8 `[height width 3]`: a view that stays valid without the frame."""
        transfer, primaries = int(frame.color_trc), int(frame.color_primaries)
        is_mapped = self._tone_mapped and transfer in (tone_map.PQ, tone_map.HLG)
        scaled = self._reformatter.reformat(
            frame,
            self._width,
            self._height,
            "rgb48le" if is_mapped else "rgb24",
            interpolation=SCALING,
            threads=1,
        )
        image = scaled.to_ndarray()
        if is_mapped:
            image = tone_map.map_to_sdr(image, transfer, primaries)
        return np.rot90(image, self._turns)[:, :: self._step]


class FramePacer:
    """Selection of the first frame, the last, and as few between as gaps of `ticks` allow.

    No frame is farther than `ticks` / 2 from a selected one, unless frames are rarer than that.
    """

    def __init__(self, ticks: int) -> None:
        self._ticks = ticks
        self._selected: int | None = None

    def __call__(self, pts: int, following: int | None) -> bool:
        """Return True to select the frame at `pts`, given the next frame's PTS (None: no next)."""
        is_due = following is None or self._selected is None
        is_due = is_due or following > self._selected + self._ticks
        if is_due:
            self._selected = pts
        return is_due


def _tolerance_s(stream: StreamInfo) -> Fraction:
    """Return the seconds that may be missing at the end of a stream, whose header rounds."""
    return max(Fraction(1), stream.duration_s / 50)


def with_next(
    frames: Iterator[tuple[VideoFrame, int]],
) -> Iterator[tuple[VideoFrame, int, int | None]]:
    """Yield each frame with its own timestamp and that of the next frame, None after the last."""
    before = next(frames, None)
    for frame in frames:
        yield *before, frame[1]
        before = frame
    if before is not None:
        yield *before, None


def _build_chunk(rows: list[tuple[int, np.ndarray]], stills: list[Still]) -> Chunk:
    times = np.array([time for time, _ in rows], np.int64)
    return Chunk(times, np.stack([image for _, image in rows]), tuple(stills))
