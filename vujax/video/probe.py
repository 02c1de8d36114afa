"""Container and stream headers of a video file: codecs, displayed size, clock, irregularities."""

import itertools
import math
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.frame import VideoFrame

from vujax.utils.formatting import quote_unprintable
from vujax.video.frame_rate import estimate_nominal_rate
from vujax.video.timecode import MAX_GAP_S, Clock, format_timecode

# Formats that hold their own data. Never playlists, whose entries may name any file or host.
FORMATS = (
    "mov,matroska,mpegts,mpeg,avi,flv,asf,ogg,mxf,gxf,nut,ivf,rm,dv,wtv,wav,mp3,aac,flac,"
    "h264,hevc,m4v,mpegvideo,yuv4mpegpipe"
)
MAX_PIXELS = 1 << 26  # 8192 x 8192: a header that claims more is damaged
NUM_SAMPLED_PACKETS = 300
HDR_TRANSFERS = (16, 18)  # libav's numbers for SMPTE ST 2084 (PQ) and ARIB STD-B67 (HLG)
INTERLACED_ORDERS = range(2, 6)  # libav's field orders with two fields
BOTTOM_FIRST_ORDERS = (3, 4)
MATRIX = "DISPLAYMATRIX"
SOURCE_TIMECODE = re.compile(r"(\d\d:\d\d:\d\d)([:;.,])(\d\d)", re.ASCII)
DESCRIPTIONS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
"""Boxes of ISO 14496-12 that lead to the description of a track."""
TIMECODE_COUNT = 32  # place of the frames per second in a timecode track's description
DURATION = re.compile(r"([0-9]{1,4}):([0-9]{2}):([0-9]{2}(?:\.[0-9]{1,9})?)")


class FilmError(ValueError):
    """A file that cannot be used as a film; the message names it and gives the reason."""


@dataclass(frozen=True, kw_only=True)
class StreamInfo:
    """One stream of a film.

    Attributes:
      index: index of the stream in the file.
      codec: libav's name of the codec.
      clock: clock of the stream; all streams of a film share the same `start`.
      start_s: timestamp of the first frame or sample, in seconds.
      duration_s: duration declared by the header, in seconds; None when it declares none.
    """

    index: int
    codec: str
    clock: Clock
    start_s: Fraction
    duration_s: Fraction | None

    @property
    def declared_end_s(self) -> Fraction | None:
        """End timestamp declared by the header, in seconds."""
        return None if self.duration_s is None else self.start_s + self.duration_s


@dataclass(frozen=True, kw_only=True)
class VideoStream(StreamInfo):
    """The video stream that is read.

    Attributes:
      coded: width and height of the stored frame.
      sample_aspect: width / height of one stored pixel.
      rotation: degrees counter-clockwise that turn the stored frame upright: 0, 90, 180 or 270.
      mirrored: True if left and right are exchanged after that.
      variable_rate: True if the first frames are spaced unevenly, or at another rate than the
        average.
      interlaced: True if a frame holds two fields of different times.
      bottom_first: True if the lower of the two is shown first.
      hdr: True if the transfer function is PQ or HLG; stills are tone-mapped to standard range.
      bits: bits per component, 8 or more.
      timecode: source timecode of the first picture, 'HH:MM:SS:FF', or 'HH:MM:SS;FF' in drop-frame;
        '' if the file declares none, or one that does not exist at its rate.
    """

    coded: tuple[int, int]
    sample_aspect: Fraction
    rotation: int
    variable_rate: bool
    interlaced: bool
    hdr: bool
    bits: int
    mirrored: bool = False
    bottom_first: bool = False
    timecode: str = ""

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height as displayed: square pixels, upright."""
        width, height = self.coded
        width = max(1, round(width * self.sample_aspect))
        return (height, width) if self.rotation in (90, 270) else (width, height)


@dataclass(frozen=True, kw_only=True)
class AudioStream(StreamInfo):
    """The audio stream that is read.

    Attributes:
      rate: samples per second of each channel.
      channels: number of channels.
    """

    rate: int
    channels: int


@dataclass(frozen=True)
class FilmInfo:
    """Headers of a file that holds a video stream, an audio stream, or both.

    Attributes:
      path: path of the file.
      format: libav's name of the container.
      streams: type of each stream in file order: 'video', 'audio', 'subtitle', 'data', ...
      video: video stream; None for a file of sound alone.
      audio: audio stream; None for a silent film.
    """

    path: Path
    format: str
    streams: tuple[str, ...]
    video: VideoStream | None
    audio: AudioStream | None

    @property
    def duration_s(self) -> Fraction | None:
        """Declared seconds of video, or of audio without video; None if no header declares it."""
        return (self.video or self.audio).duration_s


def probe_film(path: str | Path) -> FilmInfo:
    """Read the headers and the first frames of a file.

    Raises:
      FilmError: the file is not a film, or is damaged beyond use.
      FileNotFoundError, PermissionError: the file is missing or not readable.
    """
    path = Path(path)
    with open_container(path) as container:
        video, audio = select_stream(container, "video"), select_stream(container, "audio")
        if video is None and audio is None:
            raise FilmError(f"{quote_path(path)} has no decodable video or audio stream")
        start = _film_start(video, audio)
        streams = tuple(stream.type for stream in container.streams)
        return FilmInfo(
            path,
            container.format.name,
            streams,
            video=video and _video_stream(video, start, container, path),
            audio=audio and _audio_stream(audio, start, container),
        )


def list_audio_streams(container: InputContainer, start: Fraction) -> list[AudioStream]:
    """Return the decodable audio streams of a file.

    Args:
      container: the file.
      start: timestamp, in seconds, of the start of the film.
    """
    streams = [s for s in container.streams.audio if s.codec_context is not None and s.time_base]
    return [_audio_stream(stream, start, container) for stream in streams]


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open a file, never a playlist or a URL; its decoders use one thread each.

    Raises:
      FilmError: the file is not a film.
      FileNotFoundError, PermissionError: the file is missing or not readable.
    """
    _check(path)
    try:
        container = av.open(
            f"file:{path.absolute()}",
            container_options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            options={"max_pixels": str(MAX_PIXELS), "threads": "1"},
            metadata_errors="replace",
        )
    except av.FFmpegError as error:
        raise FilmError(
            f"{quote_path(path)} cannot be read as a film ({error.strerror}): it is of another "
            "kind, cut short or damaged"
        ) from error
    with container:
        yield container


def _check(path: Path) -> None:
    name = quote_path(path)
    try:
        status = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"{name} does not exist") from None
    except OSError as error:
        raise OSError(f"{name} cannot be opened ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        raise FilmError(f"{name} is not a regular file; give the path of a video file")
    if not status.st_size:
        raise FilmError(f"{name} is empty; copy it again")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{name} is not readable; ask for read permission")


def quote_path(path: Path) -> str:
    """Return a path for a message, quoted if it holds unprintable characters."""
    return quote_unprintable(str(path))


def select_stream(container: InputContainer, kind: str) -> Stream | None:
    """Return the stream of a kind to read: decodable, no cover art; default first, then largest."""
    streams = [
        stream
        for stream in getattr(container.streams, kind)
        if stream.codec_context is not None
        and stream.time_base
        and not stream.disposition & Disposition.attached_pic
    ]

    def merit(stream: Stream) -> tuple[bool, int, int]:
        size = stream.width * stream.height if kind == "video" else stream.channels
        return bool(stream.disposition & Disposition.default), size, -stream.index

    return max(streams, key=merit, default=None)


def isolate_stream(container: InputContainer, index: int) -> Stream:
    """Return the stream at `index`, decoding on one thread, and discard all other streams."""
    for stream in container.streams:
        stream.discard = Discard.default if stream.index == index else Discard.all
    stream = container.streams[index]
    # One process per core, one thread each, decodes more films per second than threads do.
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream


def _film_start(video: Stream | None, audio: Stream | None) -> Fraction:
    """Return the earliest timestamp, in seconds, of the two streams."""
    # Sound before zero is the encoder's priming, which players skip.
    heard = [max(_start(audio), Fraction(0))] if audio else []
    return min(heard + [_start(video)] if video else heard)


def _start(stream: Stream) -> Fraction:
    return (stream.start_time or 0) * stream.time_base


def _duration(stream: Stream, container: InputContainer) -> Fraction | None:
    """Return the declared duration of a stream, in seconds; the container's as a last resort."""
    if stream.duration:
        return stream.duration * stream.time_base
    if match := DURATION.fullmatch(stream.metadata.get("DURATION", "")):  # Matroska: up to its end
        end = 3600 * int(match[1]) + 60 * int(match[2]) + Fraction(match[3])
        return max(end - _start(stream), Fraction(0))
    return Fraction(container.duration, av.time_base) if container.duration else None


def _stream_facts(stream: Stream, start: Fraction, container: InputContainer) -> dict[str, Any]:
    rate = getattr(stream, "average_rate", None) or Clock.rate
    return dict(
        index=stream.index,
        codec=stream.codec_context.name,
        clock=Clock(stream.time_base, start, rate),
        start_s=_start(stream),
        duration_s=_duration(stream, container),
    )


def _audio_stream(stream: Stream, start: Fraction, container: InputContainer) -> AudioStream:
    facts = _stream_facts(stream, start, container)
    return AudioStream(**facts, rate=stream.sample_rate, channels=stream.channels)


def _video_stream(
    stream: Stream, start: Fraction, container: InputContainer, path: Path
) -> VideoStream:
    facts = _stream_facts(stream, start, container)
    frame, times = _sample(container, stream.index)
    context = stream.codec_context
    header = frame or context
    width, height, pixels = header.width, header.height, header.format
    if not 0 < width * height <= MAX_PIXELS:
        size = f"{width}x{height}"
        raise FilmError(
            f"{quote_path(path)} has frames of {size}: it is damaged, or over {MAX_PIXELS} px"
        )
    if facts["clock"].time_base > MAX_GAP_S:
        step = float(facts["clock"].time_base)
        raise FilmError(f"{quote_path(path)} counts time in steps of {step:.0f} s: it is damaged")
    clock, interlaced = facts["clock"], context.field_order in INTERLACED_ORDERS
    interlaced = interlaced or bool(frame and frame.interlaced_frame)
    rate = _nominal_rate(stream, times, interlaced=interlaced) or Clock.rate
    rotation, mirrored = _orientation(frame)
    facts["clock"] = replace(clock, rate=rate, first_s=facts["start_s"])
    return VideoStream(
        **facts,
        coded=(width, height),
        sample_aspect=stream.sample_aspect_ratio or Fraction(1),
        rotation=rotation,
        mirrored=mirrored,
        variable_rate=_is_variable(times, clock),
        interlaced=interlaced,
        bottom_first=context.field_order in BOTTOM_FIRST_ORDERS or context.name == "dvvideo",
        hdr=header.color_trc in HDR_TRANSFERS,
        bits=max((component.bits for component in pixels.components), default=8) if pixels else 8,
        timecode=_source_timecode(stream, container, facts["clock"], path),
    )


def _orientation(frame: VideoFrame | None) -> tuple[int, bool]:
    """Return the degrees counter-clockwise, and whether to mirror, that show a frame upright.

    A display matrix [[a b u] [c d v] [x y w]] moves a pixel (p, q) of the stored frame to
    (a p + c q, b p + d q): a rotation, and a mirroring if its determinant is negative.
    """
    matrices = [data for data in frame.side_data if data.type.name == MATRIX] if frame else []
    if not matrices:
        return 0, False
    a, b, _, c, d = (float(value) for value in np.frombuffer(bytes(matrices[0]), np.int32)[:5])
    mirrored = a * d - b * c < 0
    degrees = math.degrees(math.atan2(-b, -a if mirrored else a))
    return round(degrees / 90) * 90 % 360, mirrored


def _nominal_rate(stream: Stream, times: np.ndarray, *, interlaced: bool) -> Fraction | None:
    average = stream.average_rate
    rate = estimate_nominal_rate(times, stream.time_base, average, [stream.base_rate])
    is_fields = interlaced and average and rate and abs(rate / average - 2) < 0.01
    return average if is_fields else rate  # packets that hold one field each


def _source_timecode(stream: Stream, container: InputContainer, clock: Clock, path: Path) -> str:
    """Return the timecode of the stream, of the container or of a timecode track."""
    tracks = [other for other in container.streams if other.type == "data"]
    for owner in (stream, container, *tracks):
        tags = {name.lower(): value for name, value in owner.metadata.items()}
        if match := SOURCE_TIMECODE.fullmatch(tags.get("timecode", "").strip()):
            text = f"{match[1]}{':' if match[2] == ':' else ';'}{match[3]}"
            is_track = "mov" in container.format.name
            with suppress(ValueError):  # it names no frame at this rate
                return _count_every_frame(text, clock, _track_count(path) if is_track else None)
    return ""


def _count_every_frame(text: str, clock: Clock, count: int | None) -> str:
    """Return the timecode of a clock; tracks of fast films may count every second frame.

    Args:
      text: timecode of the file.
      clock: clock of the film.
      count: frame numbers per second of the timecode; None if the file does not say.

    Raises:
      ValueError: it names no frame.
    """
    rate = clock.timecode_rate
    if count is None or round(rate) != 2 * count:
        clock.with_timecode(text)
        return text
    half = replace(clock, rate=rate / 2).with_timecode(text).at_rate(rate)
    return format_timecode(half.timecode_frame, rate, half.is_drop_frame)


def _track_count(path: Path) -> int | None:
    """Return the frame numbers per second of a QuickTime file's timecode track; None without one.

    libav has the timecode, but not the rate at which it counts.
    """
    with path.open("rb") as file:
        for start, _ in _find_boxes(file, 0, path.stat().st_size, DESCRIPTIONS):
            file.seek(start + 8)  # version and number of entries
            entry = file.read(TIMECODE_COUNT + 1)
            if entry[4:8] == b"tmcd" and len(entry) > TIMECODE_COUNT:
                return entry[TIMECODE_COUNT]
    return None


def _find_boxes(
    file: BinaryIO, start: int, end: int, names: Sequence[bytes]
) -> Iterator[tuple[int, int]]:
    """Yield start and end of the content of ISO boxes with a path of names, between two places."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        size, name, header = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:  # 64 bits follow
            size, header = int.from_bytes(head[8:], "big"), 16
        size = size or end - start  # 0: up to the end
        if size < header:
            return
        if name == names[0]:
            inside = start + header, min(start + size, end)
            nested = _find_boxes(file, inside[0], inside[1], names[1:]) if names[1:] else [inside]
            yield from nested
        start += size


def _sample(container: InputContainer, index: int) -> tuple[VideoFrame | None, np.ndarray]:
    """Return the first decodable frame and the sorted timestamps of the first packets."""
    stream, frame, times = isolate_stream(container, index), None, []
    with suppress(av.FFmpegError, IndexError):  # the latter where streams appear on the way
        for packet in itertools.islice(container.demux(stream), NUM_SAMPLED_PACKETS):
            if packet.pts is not None:
                times.append(packet.pts)
            if frame is None:
                with suppress(av.FFmpegError):
                    frame = next(iter(packet.decode()), None)
    return frame, np.unique(np.array(times, np.int64))


def _is_variable(times: np.ndarray, clock: Clock) -> bool:
    """Return True if many steps differ from the median one, or that from the declared average."""
    if len(times) < 3:
        return False
    steps = np.diff(times)
    median = np.median(steps)
    uneven = np.abs(steps - median) > max(1, 0.1 * median)  # more than rounding
    return bool(uneven.mean() > 0.05 or abs(median / clock.frame_ticks - 1) > max(0.02, 1 / median))
