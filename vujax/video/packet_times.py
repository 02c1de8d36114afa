"""Timestamps of packets for a copy of a film: from zero, without jumps, in increasing order.

Recordings start at any time, clocks wrap, files are joined one behind the other, and some packets
have no timestamp. Muxers refuse all of these. The repairs are those of `ffmpeg -c copy`, except
that a jump of the clock is one event for all streams, so that sound stays with the picture.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from vujax.video.timecode import MAX_GAP_S, Clock

MAX_BACK_S = Fraction(1, 10)
NO_TIMES = (
    "its pictures are stored out of order, without the times at which they are due, so that they "
    "cannot be copied; encode the film again"
)
ONE_TIME = {
    "avi": ("h264", "hevc"),
    "asf": ("h264", "hevc", "mpeg2video", "mpeg4"),
}
"""Codecs whose pictures have only one time, by container."""
CONTINUOUS = ("video", "audio")
"""Types of streams whose packets follow each other without gaps."""


@dataclass
class _StreamState:
    """Progress of one stream.

    Attributes:
      segment: index of the stretch between two jumps of the clock.
      last: latest decoding time that was returned, in ticks; None before the first.
      next: expected decoding time of the next packet, in ticks.
    """

    segment: int = 0
    last: int | None = None
    next: int | None = None


class PacketTimes:
    """Repair of the timestamps of a film's packets, in the order of the file."""

    def __init__(self, start_s: Fraction) -> None:
        """Set the timestamp, in seconds, that becomes zero."""
        self._offsets_s = [-start_s]
        self._states: dict[int, _StreamState] = {}

    def mend(self, packet: Packet, stream: Stream) -> None:
        """Replace the timestamps of a packet of a stream of the film.

        Raises:
          ValueError: pictures that are stored out of order have no times at which they are due.
        """
        state = self._states.setdefault(stream.index, _StreamState())
        _refine_time_base(packet, stream)
        is_continuous, time_base = stream.type in CONTINUOUS, packet.time_base
        pts, is_in_order = packet.pts, not _reorder_s(stream)
        raw = pts if packet.dts is None and is_in_order else packet.dts
        if raw is not None:
            dts = self._place(raw, time_base, state, is_continuous=is_continuous)
        elif state.next is not None or pts is None:
            dts = state.next or 0
        else:  # pictures that are decoded before they are due
            dts = self._shift(pts, time_base, state) - round(_reorder_s(stream) / time_base)
        if state.last is not None:
            dts = max(dts, state.last + is_continuous)
        if pts is not None:
            packet.pts = max(dts, self._shift(pts, time_base, state))
        elif is_in_order:
            packet.pts = dts
        else:
            raise ValueError(NO_TIMES)
        packet.dts = state.last = dts
        state.next = dts + (packet.duration or 0)

    def _place(
        self, raw: int, time_base: Fraction, state: _StreamState, *, is_continuous: bool
    ) -> int:
        """Return a time of the file on the clock of the copy; notice jumps of the clock."""
        if not is_continuous:
            state.segment = max((s.segment for s in self._states.values()), default=0)
        dts = self._shift(raw, time_base, state)
        if not is_continuous or state.next is None:
            return dts
        while not -MAX_BACK_S <= (dts - state.next) * time_base <= MAX_GAP_S:
            state.segment += 1
            if state.segment == len(self._offsets_s):  # no other stream has jumped here
                self._offsets_s.append((state.next - raw) * time_base)
            dts = self._shift(raw, time_base, state)
        return dts

    def _shift(self, raw: int, time_base: Fraction, state: _StreamState) -> int:
        return raw + round(self._offsets_s[state.segment] / time_base)


def _refine_time_base(packet: Packet, stream: Stream) -> None:
    """Count the times of sound in samples where the file's ticks are longer.

    Several packets of TrueHD share a millisecond of Matroska: in ticks, each would be a tick late.
    """
    rate = getattr(stream, "sample_rate", None) if stream.type == "audio" else None
    factor = math.ceil(packet.time_base * rate) if rate else 1
    if factor > 1:
        pts, dts, duration = packet.pts, packet.dts, packet.duration
        packet.time_base /= factor
        packet.pts = None if pts is None else pts * factor
        packet.dts = None if dts is None else dts * factor
        packet.duration = (duration or 0) * factor


def check_times(film: InputContainer) -> None:
    """Raise unless the container has the times at which pictures are due.

    Some containers hold one time per picture, and libav does not derive the other for these codecs.

    Raises:
      ValueError: pictures that are stored out of order have no such times.
    """
    codecs = ONE_TIME.get(film.format.name, ())
    for stream in film.streams.video:
        codec = stream.codec_context.codec.canonical_name if stream.codec_context else ""
        if codec in codecs and stream.codec_context.reorder_depth:
            raise ValueError(NO_TIMES)


def _reorder_s(stream: Stream) -> Fraction:
    """Return the seconds by which pictures of a stream are decoded before they are due."""
    depth = getattr(stream.codec_context, "reorder_depth", 0) if stream.type == "video" else 0
    return depth / (getattr(stream, "average_rate", None) or Clock.rate)
