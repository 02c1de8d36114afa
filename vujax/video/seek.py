"""Frames at given times with few seeks, and a quick look at a film by its keyframes alone.

A decoder can only start at a keyframe. Times that fall into one group of pictures (GOP) are served
by one seek and one run of the decoder. Containers seek by decoding time (DTS), which with B-frames
lies before the time of showing (PTS); what counts here is whether a keyframe's PTS is not after the
time that is wanted, so no frame before a keyframe is missed.
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
    SIDE,
    Ended,
    Scaler,
    Still,
    decoded,
    film_with_picture,
    packets,
    still_size,
)
from vujax.video.probe import Picture, only, open_film
from vujax.video.timecode import Steady

# Searched by time, which may miss the very first packets; what libav calls their index is the
# packets that it came upon, not keyframes.
UNINDEXED = ("mpegts", "mpeg")


class StillReader:
    """The frames on screen at given times; iterate it for `(wanted, still)` in order of time.

    The frame on screen at a PTS is the last one that is not after it; before the first frame, the
    first. `still.pts` is its own. Times whose frame cannot be had are passed over and counted in
    `ended`.

    Attributes:
      film: what the file is.
      picture: its video stream.
      ended: how the last iteration ended; `frames` is the number of stills.
      seeks: jumps in the file of the last iteration.
      decoded: frames that the decoder made in the last iteration.
    """

    def __init__(
        self, path: str | Path, pts: Iterable[int], *, side: int = SIDE, seek: bool = True
    ) -> None:
        """Opens nothing for long: each iteration reads the file anew.

        Args:
          path: of the film.
          pts: wanted, in ticks of the picture's clock, in any order.
          side: shorter side of a still; films smaller than this are not enlarged.
          seek: False for a file whose timestamps had to be repaired (`FrameReader.ended.repaired`):
            it is decoded from its beginning and repaired alike.

        Raises:
          FilmError: the file has no picture that can be decoded.
          FileNotFoundError, PermissionError: the file cannot be had.
        """
        self.film, self.picture = film_with_picture(path)
        self.ended, self.seeks, self.decoded = Ended(), 0, 0
        self._wanted, self._side, self._seek = sorted(set(pts)), side, seek

    def __iter__(self) -> Iterator[tuple[int, Still]]:
        self.ended = ended = Ended()
        picture = self.picture
        scale = Scaler(still_size(picture.shown, self._side), picture.rotation)
        with open_film(self.film.path) as container:
            stream = only(container, picture.index)
            kind = Cursor if self._seek else LinearCursor
            cursor = kind(container, stream, picture, ended)
            for wanted in self._wanted:
                frame = _at(cursor, wanted, ended)
                self.seeks, self.decoded = cursor.seeks, cursor.decoded
                still = frame and make_still(frame, frame.pts, scale, ended)
                if still:
                    ended.frames += 1
                    yield wanted, still
        if missing := len(self._wanted) - ended.frames:
            why = f" ({ended.stopped})" if ended.stopped else ""
            ended.reason = f"{missing} of {len(self._wanted)} frames cannot be decoded{why}"
        else:
            ended.reason = ""


def _at(cursor: "LinearCursor", pts: int, ended: Ended) -> VideoFrame | None:
    try:
        return cursor.at(pts)
    except av.FFmpegError as error:  # a file that cannot be sought in
        ended.stopped = error.strerror
        return None


def make_still(frame: VideoFrame, pts: int, scale: Scaler, ended: Ended) -> Still | None:
    """The frame scaled; None, and one more damaged, when it cannot be."""
    try:
        return Still(pts, np.ascontiguousarray(scale(frame)))
    except av.FFmpegError:
        ended.damaged += 1
        return None


class LinearCursor:
    """Goes through a film once, from its beginning, to times that grow.

    Attributes:
      seeks: none.
      decoded: frames made so far.
    """

    def __init__(
        self, container: InputContainer, stream: Stream, picture: Picture, ended: Ended
    ) -> None:
        self.seeks = self.decoded = 0
        self._stream, self._ended = stream, ended
        self._steady = Steady(picture.clock)
        self._shown: VideoFrame | None = None
        self._ahead: VideoFrame | None = None
        self._frames = self._timed(packets(container, stream, ended))

    def at(self, pts: int) -> VideoFrame | None:
        """The frame on screen at `pts`; None when the file has no frame that can be decoded."""
        while self._shown is None or self._shown.pts < pts:
            self._ahead = self._ahead or next(self._frames, None)
            if self._ahead is None or (self._shown is not None and self._ahead.pts > pts):
                break
            self._shown, self._ahead = self._ahead, None
        return self._shown

    def _timed(self, source: Iterator[Packet | None]) -> Iterator[VideoFrame]:
        for frame in decoded(source, self._stream, self._ended):
            self.decoded += 1
            frame.pts = self._steady(frame.pts)
            yield frame


class Cursor(LinearCursor):
    """Jumps to the last keyframe before a time that lies in another GOP.

    Attributes:
      seeks: jumps so far.
      decoded: frames made so far.
    """

    def __init__(
        self, container: InputContainer, stream: Stream, picture: Picture, ended: Ended
    ) -> None:
        super().__init__(container, stream, picture, ended)
        self._container = container
        self._indexed = container.format.name not in UNINDEXED
        self._first = round(picture.start_s / picture.clock.time_base)
        self._second = max(1, round(1 / picture.clock.time_base))
        self._gop = self._second  # the longest known of, for files without an index
        self._delay = 0  # the most by which a keyframe's PTS was after its DTS
        self._hopeless = False

    def at(self, pts: int) -> VideoFrame | None:
        """The frame on screen at `pts`; None when none can be decoded from the keyframe before."""
        if self._hopeless:
            return None
        if self._shown is None or self._is_far(pts):
            self._land(pts)
        return super().at(pts)

    def _is_far(self, pts: int) -> bool:
        """Whether a keyframe lies between the frame that is shown and `pts`."""
        index, here = self._stream.index_entries, self._shown.pts
        if self._indexed and len(index) and index[-1].timestamp >= pts:
            # The index counts in DTS. A keyframe that it has before `time - delay` is shown before
            # `time`; one that is missed so costs the rest of a GOP, and no frame.
            before, after = (index.search_timestamp(time - self._delay) for time in (here, pts))
            return before < after
        return pts - here > self._gop

    def _land(self, pts: int) -> None:
        """Makes the decoder start at the last keyframe whose PTS is not after `pts`."""
        pts = max(pts, self._first)
        target, step = pts, self._second // 4 + 1
        key, source = self._keyframe_at(target)
        while target > self._first and (key is None or _time(key) > pts):
            before = target if key is None or key.dts is None else key.dts - 1
            target, step = max(self._first, min(target - step, before)), 2 * step
            key, source = self._keyframe_at(target)
        self._shown = self._ahead = None
        self._hopeless = key is None  # even from the beginning
        if key is not None:
            self._gop = max(self._gop, pts - _time(key))
            if key.dts is not None:
                self._delay = max(self._delay, _time(key) - key.dts)
            self._frames = self._run(key, source)

    def _keyframe_at(self, target: int) -> tuple[Packet | None, Iterator[Packet | None]]:
        """The first keyframe after a jump to `target`, and the packets behind it."""
        self.seeks += 1
        if target == self._first and not self._indexed:
            self._container.seek(0, unsupported_byte_offset=True)
        else:
            self._container.seek(target, stream=self._stream)
        source = packets(self._container, self._stream, self._ended)
        keys = (p for p in source if p and p.is_keyframe and _time(p) is not None)
        return next(keys, None), source

    def _run(self, key: Packet, source: Iterator[Packet | None]) -> Iterator[VideoFrame]:
        """Frames from a keyframe on, without those before it, whose references were not read."""
        for frame in decoded(itertools.chain([key], source), self._stream, self._ended):
            self.decoded += 1
            if frame.pts is not None and frame.pts >= _time(key):
                yield frame


def _time(packet: Packet) -> int | None:
    return packet.dts if packet.pts is None else packet.pts


class KeyframeReader:
    """The frames that the encoder made keyframes: a look at a film in a fraction of its time.

    Iterate it for stills. Where the last keyframe is says nothing of the film's end, so `ended` is
    about what libav could not read or decode.

    Attributes:
      film: what the file is.
      picture: its video stream.
      ended: how the last iteration ended.
    """

    def __init__(self, path: str | Path, *, every_s: float = 0.0, side: int = SIDE) -> None:
        """Opens nothing for long: each iteration reads the file anew.

        Args:
          path: of the film.
          every_s: keyframes sooner than this after the last one are left out.
          side: shorter side of a still; films smaller than this are not enlarged.

        Raises:
          FilmError: the file has no picture that can be decoded.
          FileNotFoundError, PermissionError: the file cannot be had.
        """
        self.film, self.picture = film_with_picture(path)
        self.ended = Ended()
        self._every_s, self._side = every_s, side

    def __iter__(self) -> Iterator[Still]:
        self.ended = ended = Ended()
        picture, clock = self.picture, self.picture.clock
        scale = Scaler(still_size(picture.shown, self._side), picture.rotation)
        steady, due = Steady(clock), None
        with open_film(self.film.path) as container:
            stream = only(container, picture.index)
            stream.codec_context.skip_frame = "NONKEY"
            for frame in decoded(packets(container, stream, ended), stream, ended):
                pts = steady(frame.pts)
                if due is not None and clock.seconds(pts) < due:
                    continue
                due = clock.seconds(pts) + Fraction(self._every_s)
                if still := make_still(frame, pts, scale, ended):
                    ended.frames += 1
                    yield still
        ended.repaired = steady.repaired
        if not ended.frames or ended.stopped:
            ended.reason = f"no more than {ended.frames} keyframes can be decoded"
        else:
            ended.reason = ""
