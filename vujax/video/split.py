"""Division of a film into files by stream copy, at keyframes.

A decoder can only start at a keyframe, so each cut moves to the nearest one. No packet is lost and
none is written twice.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from vujax.video.packet_times import CONTINUOUS, PacketTimes, check_times
from vujax.video.probe import isolate_stream, open_container
from vujax.video.remux import CopySettings, open_copy, write_packet


@dataclass(frozen=True)
class Cut:
    """A cut between two files.

    Attributes:
      wanted_s: requested time in seconds since the start of the film.
      keyframe_s: time of the keyframe at which the second file starts.
    """

    wanted_s: Fraction
    keyframe_s: Fraction


def plan_cuts(path: Path, video: int, start_s: Fraction, wanted_s: Sequence[Fraction]) -> list[Cut]:
    """Move cuts to the nearest keyframes; cuts that would leave an empty file are left out.

    Args:
      path: path of the film.
      video: index of its video stream.
      start_s: timestamp, in seconds, of the start of the film.
      wanted_s: requested times in seconds since that start, increasing.

    Raises:
      ValueError: the film cannot be read.
    """
    keys = _read_keyframes(path, video, start_s)
    cuts, free = [], keys[1:]  # the first file starts with the first keyframe
    for wanted in wanted_s:
        if not free:
            break
        nearest = min(free, key=lambda key: abs(key - wanted))
        cuts.append(Cut(wanted, nearest))
        free = [key for key in free if key > nearest]
    return cuts


def _read_keyframes(path: Path, video: int, start_s: Fraction) -> list[Fraction]:
    times, found = PacketTimes(start_s), set()
    with open_container(path) as film:
        stream = isolate_stream(film, video)
        for packet in film.demux(stream):
            if packet.size:
                times.mend(packet, stream)
                if packet.is_keyframe and packet.pts is not None:
                    found.add(packet.pts * packet.time_base)
    return sorted(found)


@dataclass
class _Parts:
    """Files of a division that are being written.

    Attributes:
      film: the film.
      paths: paths of the files.
      settings: settings of all of them.
      starts_s: time of the film, in seconds, at which each of them starts.
      open: those that are open, by their number, with what closes them, and their streams.
    """

    film: InputContainer
    paths: Sequence[Path]
    settings: CopySettings
    starts_s: Sequence[Fraction]
    open: dict[int, tuple[ExitStack, OutputContainer, dict[int, Stream]]] = field(
        default_factory=dict
    )

    def write(self, packet: Packet, index: int, number: int) -> None:
        """Write a packet of a stream of the film into one of the files."""
        if number not in self.open:
            stack, target = ExitStack(), f"file:{self.paths[number].absolute()}"
            copy, streams = stack.enter_context(open_copy(self.film, target, self.settings))
            self.open[number] = (stack, copy, streams)
        _, copy, streams = self.open[number]
        shift = round(self.starts_s[number] / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        write_packet(packet, streams[index], copy)

    def close(self, before: int) -> None:
        """Close the files with a lower number."""
        for number in sorted(self.open):
            if number < before:
                self.open.pop(number)[0].close()


def split_film(
    film: InputContainer,
    paths: Sequence[Path],
    settings: CopySettings,
    *,
    video: int,
    start_s: Fraction,
    cuts: Sequence[Cut],
) -> None:
    """Write the packets of a film into files, one after the other.

    Args:
      film: the film, before its first packet.
      paths: paths of the files, one more than cuts.
      settings: of `remux.find_settings`.
      video: index of the video stream.
      start_s: timestamp, in seconds, of the start of the film.
      cuts: of `plan_cuts`.

    Raises:
      av.FFmpegError: a file cannot be written.
      ValueError: pictures that are stored out of order have no presentation times.
    """
    check_times(film)
    starts_s = [Fraction(0), *(cut.keyframe_s for cut in cuts)]
    parts, times = _Parts(film, paths, settings, starts_s), PacketTimes(start_s)
    skipped, kinds = set(settings.left_out), (*CONTINUOUS, "subtitle")
    copied = [s for s in film.streams if s.index not in skipped and s.type in kinds]
    current = {stream.index: 0 for stream in copied}
    try:
        for packet in film.demux(copied):
            stream = packet.stream
            if not packet.size:
                continue
            times.mend(packet, stream)
            number = _place(packet, current[stream.index], starts_s, stream.index == video)
            current[stream.index] = number
            parts.write(packet, stream.index, number)
            parts.close(min(current[s.index] for s in copied if s.type in CONTINUOUS))
    finally:
        parts.close(len(paths))


def _place(packet: Packet, number: int, starts_s: Sequence[Fraction], is_video: bool) -> int:
    """Return the number of the file of a packet; a picture changes files at keyframes only."""
    if packet.pts is None or (is_video and not packet.is_keyframe):
        return number
    time = packet.pts * packet.time_base
    while number + 1 < len(starts_s) and time >= starts_s[number + 1]:
        number += 1
    return number
