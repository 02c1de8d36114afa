"""Copies of a film's streams into a new file, without transcoding.

Parameters of streams are those of the file, not of a decoder: codec tags, aspect ratios, rates and
side data stay. Every stream is copied, or the container is refused.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from vujax.video.packet_times import PacketTimes, check_times
from vujax.video.probe import open_container

MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
MUXERS |= {".nut": "nut"}
"""Muxer by suffix."""
FALLBACKS = (".mkv", ".mov", ".nut")
"""Containers for films whose own cannot be written, or cannot hold their streams. NUT, which VLC
and mpv play, takes nearly every codec."""
PLAYABLE = (".mp4", ".m4v", ".webm")
"""Containers that any browser plays."""
IN_BROWSERS = ("h264", "av1", "vp9", "aac", "mp3", "flac", "opus")
"""Codecs that browsers play in MP4."""
ESSENTIAL = ("video", "audio", "subtitle")
EXTRA = ("data", "attachment")
MOV_FAMILY = ("mp4", "mov")


@dataclass(frozen=True)
class CopySettings:
    """Settings with which a container takes the streams of a film.

    Attributes:
      muxer: libav's name of the container.
      tagged: indices of the streams whose codec tags stay, such as 'hvc1', which Apple's players
        need, or the kind of ProRes.
      with_extra: whether data streams and attachments are copied.
      left_out: indices of the streams that are not copied.
      loses_aspect: whether the container cannot hold the aspect ratio that the film's declares.
    """

    muxer: str
    tagged: frozenset[int] = frozenset()
    with_extra: bool = True
    left_out: tuple[int, ...] = ()
    loses_aspect: bool = False


def select_suffix(path: str | Path, *, for_browsers: bool = False) -> str:
    """Return the suffix of a copy of a film: its own container, else one that takes all streams.

    Without such a container it is the one that loses the least. Films whose container is none of
    MUXERS become MP4 if browsers then play them.

    Args:
      path: path of the film.
      for_browsers: whether the others that browsers do not play in their container become MP4 too,
        if MP4 takes as many of their streams.
    """
    own = Path(path).suffix.lower()
    candidates = list(dict.fromkeys([own, *FALLBACKS] if own in MUXERS else FALLBACKS))

    def lost(suffix: str) -> tuple[int, int]:
        settings = find_settings(film, MUXERS[suffix])
        if settings is None:
            return len(film.streams), 0
        essential = sum(film.streams[index].type in ESSENTIAL for index in settings.left_out)
        return essential, len(settings.left_out) - essential + settings.loses_aspect

    with suppress(ValueError, OSError), open_container(Path(path)) as film:
        stays = own in (PLAYABLE if for_browsers else MUXERS)
        if not stays and _plays_in_browsers(film):
            candidates.insert(0, ".mp4")
        return min(candidates, key=lost)
    return candidates[0]


def _plays_in_browsers(film: InputContainer) -> bool:
    streams = [stream for stream in film.streams if stream.type in ESSENTIAL]
    return all(
        stream.codec_context is not None
        and stream.codec_context.codec.canonical_name in IN_BROWSERS
        for stream in streams
    )


def find_settings(film: InputContainer, muxer: str) -> CopySettings | None:
    """Return the settings with which a container takes the most of a film; None if it takes none.

    The header of a file is written to memory and thrown away.
    """
    indices = [stream.index for stream in film.streams if stream.codec_context is not None]
    tagged = frozenset(index for index in indices if _takes_tag(film, index, muxer))
    for with_extra in (True, False):
        settings = CopySettings(muxer, tagged, with_extra)
        with suppress(av.FFmpegError, ValueError):
            with open_copy(film, io.BytesIO(), settings) as (_, added):
                copied = {*added, *(s.index for s in film.streams if is_made_by_muxer(s))}
            left_out = tuple(s.index for s in film.streams if s.index not in copied)
            if len(left_out) == len(film.streams):
                return None
            loses_aspect = _loses_aspect(film, muxer)
            return replace(settings, left_out=left_out, loses_aspect=loses_aspect)
    return None


def _takes_tag(film: InputContainer, index: int, muxer: str) -> bool:
    """Return whether a container has the codec tag that a stream has in its file."""
    settings = CopySettings(muxer, frozenset([index]))
    try:
        with open_copy(film, io.BytesIO(), settings, only=index):
            return True
    except (av.FFmpegError, ValueError):
        return False


def _loses_aspect(film: InputContainer, muxer: str) -> bool:
    """Return whether a picture has an aspect ratio that only its container declares.

    libav's muxers of these containers take it from a field that PyAV does not set.
    """
    return muxer not in MOV_FAMILY and any(
        stream.codec_context is not None
        and (stream.sample_aspect_ratio or 1) != (stream.codec_context.sample_aspect_ratio or 1)
        for stream in film.streams.video
    )


def copy_film(
    film: InputContainer,
    path: Path,
    settings: CopySettings,
    *,
    start_s: Fraction,
    chapters: Sequence[dict[str, Any]] = (),
    timecode: str = "",
) -> int:
    """Copy a film's packets into a new file.

    Args:
      film: the film, before its first packet.
      path: path of the new file.
      settings: of `find_settings`.
      start_s: timestamp of the film, in seconds, that becomes zero.
      chapters: of the new file, as PyAV's `set_chapters` takes them.
      timecode: source timecode of the first picture; '' for that of the film.

    Returns:
      The number of damaged packets that the container refused.

    Raises:
      av.FFmpegError: the file cannot be written.
      ValueError: pictures that are stored out of order have no presentation times.
    """
    check_times(film)
    target = f"file:{path.absolute()}"
    with open_copy(film, target, settings, chapters, timecode=timecode) as (copy, streams):
        return _copy_packets(film, copy, streams, PacketTimes(start_s))


@contextmanager
def open_copy(
    film: InputContainer,
    target: str | IO[bytes],
    settings: CopySettings,
    chapters: Sequence[dict[str, Any]] = (),
    only: int | None = None,
    timecode: str = "",
) -> Iterator[tuple[OutputContainer, dict[int, Stream]]]:
    """Yield a new file with its header, and its streams by their index in the film.

    Args:
      film: the film.
      target: URL of the new file, or a file that is open for writing.
      settings: of `find_settings`.
      chapters: of the new file, as PyAV's `set_chapters` takes them.
      only: index of the one stream to copy; None for all.
      timecode: source timecode of the first picture; '' for that of the film.
    """
    with av.open(target, "w", format=settings.muxer) as copy:
        added = {}
        for stream in film.streams if only is None else [film.streams[only]]:
            if (new := _add_stream(stream, copy, settings)) is not None:
                added[stream.index] = new
        copy.metadata.update(film.metadata)
        if timecode:
            copy.metadata["timecode"] = timecode
        if chapters:
            copy.set_chapters(list(chapters))
        copy.start_encoding()
        yield copy, added


def _add_stream(stream: Stream, copy: OutputContainer, settings: CopySettings) -> Stream | None:
    if is_made_by_muxer(stream) or (stream.type in EXTRA and not settings.with_extra):
        return None
    try:
        new = copy.add_stream_from_template(stream, opaque=True)
    except ValueError:  # the container does not have the codec
        return None
    new.metadata.update(stream.metadata)
    new.disposition = stream.disposition
    context = stream.codec_context
    if stream.type == "video" and context is not None:
        if stream.sample_aspect_ratio:
            new.codec_context.sample_aspect_ratio = stream.sample_aspect_ratio
        if stream.average_rate:
            new.codec_context.framerate = stream.average_rate
    if stream.index in settings.tagged:
        with suppress(UnicodeDecodeError):
            new.codec_context.codec_tag = context.codec_tag
    return new


def is_made_by_muxer(stream: Stream) -> bool:
    """Return whether a stream holds chapter titles or timecode, which muxers write themselves."""
    is_titles = stream.metadata.get("handler_name") == "SubtitleHandler"
    return stream.type == "data" and (is_titles or "timecode" in stream.metadata)


def _copy_packets(
    film: InputContainer, copy: OutputContainer, streams: dict[int, Stream], times: PacketTimes
) -> int:
    refused, started = 0, set()
    copied = [s for s in film.streams if s.index in streams and s.type != "attachment"]
    for packet in film.demux(copied):
        stream = packet.stream
        if packet.dts is None and not packet.size:  # end-of-stream marker
            continue
        if stream.index not in started and not packet.is_keyframe:
            continue  # of pictures that no decoder shows
        started.add(stream.index)
        if not stream.disposition & Disposition.attached_pic:
            times.mend(packet, stream)
        refused += not write_packet(packet, streams[stream.index], copy)
    return refused


def describe_stream(stream: Stream) -> str:
    """Return the index, type and codec of a stream, for messages."""
    codec = stream.codec_context.name if stream.codec_context else stream.name
    kind = ", ".join(filter(None, (stream.type, codec)))
    return f"stream {stream.index} ({kind})"


def write_packet(packet: Packet, stream: Stream, copy: OutputContainer) -> bool:
    """Write a packet; return False if the muxer finds it damaged."""
    packet.stream = stream
    try:
        copy.mux(packet)
    except (av.InvalidDataError, av.ArgumentError):  # others: for example a full disk
        return False
    return True
