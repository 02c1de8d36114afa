"""Random access to a film: frames at given times with few seeks, and its keyframes alone.

A decoder can only start at a keyframe. Times within one group of pictures (GOP) are served by one
seek and one run of the decoder. Containers seek by decoding time (DTS), which with B-frames lies
before the presentation time (PTS); a keyframe is accepted only if its PTS is not after the
requested time, so that no frame before a keyframe is missed.
"""

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from vujax.video.decode import (
    STILL_SIDE,
    ReadStatus,
    Scaler,
    Still,
    compute_still_size,
    decode_frames,
    demux_packets,
    probe_stream,
)
from vujax.video.probe import VideoStream, isolate_stream, open_container
from vujax.video.timecode import TimestampRepair

# Searched by time, which may miss the very first packets; what libav calls their index lists the
# packets that it has read, not keyframes.
UNINDEXED = ("mpegts", "mpeg")


class StillReader:
    """Reader of the frames on screen at given times: iterate it for `(target, still)` in order.

    The frame on screen at a PTS is the last one not after it; before the first frame, the first.
    `still.pts` is the frame's own timestamp. Times whose frame cannot be decoded are skipped and
    counted in `status`.

    Attributes:
      film: headers of the file.
      video: headers of its video stream.
      status: outcome of the last iteration; `frames` is the number of stills.
      seeks: number of seeks in the last iteration.
      decoded: number of frames decoded in the last iteration.
    """

    def __init__(
        self, path: str | Path, pts: Iterable[int], *, side: int = STILL_SIDE, seek: bool = True
    ) -> None:
        """Read the headers; each iteration opens the file again.

        Args:
          path: path of the film.
          pts: requested times, in ticks of the video stream's clock, in any order.
          side: shorter side of a still in pixels; smaller films are not enlarged.
          seek: False for a file whose timestamps needed repair (`FrameReader.status.repaired`); it
            is decoded from its beginning and repaired in the same way.

        Raises:
          FilmError: the file has no decodable video stream.
          FileNotFoundError, PermissionError: the file is missing or not readable.
        """
        self.film, self.video = probe_stream(path)
        self.status, self.seeks, self.decoded = ReadStatus(), 0, 0
        self._targets, self._side, self._seek = sorted(set(pts)), side, seek

    def __iter__(self) -> Iterator[tuple[int, Still]]:
        self.status = status = ReadStatus()
        video = self.video
        size = compute_still_size(video.shown, self._side)
        scale = Scaler(size, video.rotation, video.mirrored, tone_mapped=True)
        with open_container(self.film.path) as container:
            stream = isolate_stream(container, video.index)
            kind = SeekingCursor if self._seek else LinearCursor
            cursor = kind(container, stream, video, status)
            for target in self._targets:
                frame = _read_frame(cursor, target, status)
                self.seeks, self.decoded = cursor.seeks, cursor.decoded
                still = frame and make_still(frame, frame.pts, scale, status)
                if still:
                    status.frames += 1
                    yield target, still
        if missing := len(self._targets) - status.frames:
            why = f" ({status.stopped})" if status.stopped else ""
            status.reason = f"{missing} of {len(self._targets)} frames cannot be decoded{why}"
        else:
            status.reason = ""


def _read_frame(cursor: "LinearCursor", pts: int, status: ReadStatus) -> VideoFrame | None:
    try:
        return cursor.frame_at(pts)
    except av.FFmpegError as error:  # a file that is not seekable
        status.stopped = error.strerror
        return None


def make_still(frame: VideoFrame, pts: int, scale: Scaler, status: ReadStatus) -> Still | None:
    """Return the scaled frame; if scaling fails, count it as damaged and return None."""
    try:
        return Still(pts, np.ascontiguousarray(scale(frame)))
    except av.FFmpegError:
        status.damaged += 1
        return None


class LinearCursor:
    """Position in a film that is decoded once, from its beginning, to increasing times.

    Attributes:
      seeks: number of seeks: 0.
      decoded: number of frames decoded so far.
    """

    def __init__(
        self, container: InputContainer, stream: Stream, video: VideoStream, status: ReadStatus
    ) -> None:
        self.seeks = self.decoded = 0
        self._stream, self._status = stream, status
        self._repair = TimestampRepair(video.clock)
        self._shown: VideoFrame | None = None
        self._ahead: VideoFrame | None = None
        self._frames = self._timed(demux_packets(container, stream, status))

    def frame_at(self, pts: int) -> VideoFrame | None:
        """Return the frame on screen at `pts`; None if the file has no decodable frame."""
        while self._shown is None or self._shown.pts < pts:
            self._ahead = self._ahead or next(self._frames, None)
            if self._ahead is None or (self._shown is not None and self._ahead.pts > pts):
                break
            self._shown, self._ahead = self._ahead, None
        return self._shown

    def _timed(self, packets: Iterator[Packet | None]) -> Iterator[VideoFrame]:
        for frame in decode_frames(packets, self._stream, self._status):
            self.decoded += 1
            frame.pts = self._repair(frame.pts)
            yield frame


class SeekingCursor(LinearCursor):
    """Position in a film that seeks to the last keyframe before a time in another GOP.

    Attributes:
      seeks: number of seeks so far.
      decoded: number of frames decoded so far.
    """

    def __init__(
        self, container: InputContainer, stream: Stream, video: VideoStream, status: ReadStatus
    ) -> None:
        super().__init__(container, stream, video, status)
        self._container = container
        self._indexed = container.format.name not in UNINDEXED
        self._first = round(video.start_s / video.clock.time_base)
        self._second = max(1, round(1 / video.clock.time_base))
        self._gop = self._second  # longest GOP seen, for files without an index
        self._delay = 0  # longest delay seen from a keyframe's DTS to its PTS
        self._is_hopeless = False

    def frame_at(self, pts: int) -> VideoFrame | None:
        """Return the frame on screen at `pts`; None if none decodes from the keyframe before."""
        if self._is_hopeless:
            return None
        if self._shown is None or self._is_far(pts):
            self._seek_before(pts)
        return super().frame_at(pts)

    def _is_far(self, pts: int) -> bool:
        """Return True if a keyframe lies between the current frame and `pts`."""
        index, here = self._stream.index_entries, self._shown.pts
        if self._indexed and len(index) and index[-1].timestamp >= pts:
            # The index counts in DTS. A keyframe indexed before `time - delay` is presented before
            # `time`; a keyframe missed this way costs the rest of a GOP, but no frame.
            before, after = (index.search_timestamp(time - self._delay) for time in (here, pts))
            return before < after
        return pts - here > self._gop

    def _seek_before(self, pts: int) -> None:
        """Start the decoder at the last keyframe whose PTS is not after `pts`."""
        pts = max(pts, self._first)
        target, step = pts, self._second // 4 + 1
        key, packets = self._seek_keyframe(target)
        while target > self._first and (key is None or _time(key) > pts):
            before = target if key is None or key.dts is None else key.dts - 1
            target, step = max(self._first, min(target - step, before)), 2 * step
            key, packets = self._seek_keyframe(target)
        self._shown = self._ahead = None
        self._is_hopeless = key is None  # even from the beginning
        if key is not None:
            self._gop = max(self._gop, pts - _time(key))
            if key.dts is not None:
                self._delay = max(self._delay, _time(key) - key.dts)
            self._frames = self._decode_from(key, packets)

    def _seek_keyframe(self, target: int) -> tuple[Packet | None, Iterator[Packet | None]]:
        """Return the first keyframe packet after a seek to `target`, and the packets behind it."""
        self.seeks += 1
        if target == self._first and not self._indexed:
            self._container.seek(0, unsupported_byte_offset=True)
        else:
            self._container.seek(target, stream=self._stream)
        packets = demux_packets(self._container, self._stream, self._status)
        keys = (p for p in packets if p and p.is_keyframe and _time(p) is not None)
        return next(keys, None), packets

    def _decode_from(self, key: Packet, packets: Iterator[Packet | None]) -> Iterator[VideoFrame]:
        """Yield frames from a keyframe on; earlier ones refer to frames that were not read."""
        packets = itertools.chain([key], packets)
        for frame in decode_frames(packets, self._stream, self._status):
            self.decoded += 1
            if frame.pts is not None and frame.pts >= _time(key):
                yield frame


def _time(packet: Packet) -> int | None:
    return packet.dts if packet.pts is None else packet.pts


class KeyframeReader:
    """Fast reader of a film's codec keyframes alone: iterate it for stills.

    The position of the last keyframe does not tell the end of the film, so `status` only reports
    what libav could not read or decode.

    Attributes:
      film: headers of the file.
      video: headers of its video stream.
      status: outcome of the last iteration.
    """

    def __init__(self, path: str | Path, *, every_s: float = 0.0, side: int = STILL_SIDE) -> None:
        """Read the headers; each iteration opens the file again.

        Args:
          path: path of the film.
          every_s: minimum seconds between two keyframes; those in between are skipped.
          side: shorter side of a still in pixels; smaller films are not enlarged.

        Raises:
          FilmError: the file has no decodable video stream.
          FileNotFoundError, PermissionError: the file is missing or not readable.
        """
        self.film, self.video = probe_stream(path)
        self.status = ReadStatus()
        self._every_s, self._side = every_s, side

    def __iter__(self) -> Iterator[Still]:
        self.status = status = ReadStatus()
        video, clock = self.video, self.video.clock
        size = compute_still_size(video.shown, self._side)
        scale = Scaler(size, video.rotation, video.mirrored, tone_mapped=True)
        repair, due = TimestampRepair(clock), None
        with open_container(self.film.path) as container:
            stream = isolate_stream(container, video.index)
            stream.codec_context.skip_frame = "NONKEY"
            for frame in decode_frames(demux_packets(container, stream, status), stream, status):
                pts = repair(frame.pts)
                if due is not None and clock.seconds(pts) < due:
                    continue
                due = clock.seconds(pts) + Fraction(self._every_s)
                if still := make_still(frame, pts, scale, status):
                    status.frames += 1
                    yield still
        status.repaired = repair.repaired
        if not status.frames or status.stopped:
            status.reason = f"no more than {status.frames} keyframes can be decoded"
        else:
            status.reason = ""
