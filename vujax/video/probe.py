"""What a video file is: its streams, the picture as shown, its clock, and what is special in it."""

import itertools
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.frame import VideoFrame

from vujax.utils.formatting import quote_unprintable
from vujax.video.timecode import MOST_GAP_S, Clock

# Formats that hold their own data. Never playlists, whose entries may name any file or host.
FORMATS = (
    "mov,matroska,mpegts,mpeg,avi,flv,asf,ogg,mxf,gxf,nut,ivf,rm,dv,wtv,wav,mp3,aac,flac,"
    "h264,hevc,m4v,mpegvideo,yuv4mpegpipe"
)
MOST_PIXELS = 1 << 26  # 8192 x 8192: a header that claims more is damaged
SAMPLED_PACKETS = 300
HDR_TRANSFERS = (16, 18)  # libav's numbers of SMPTE ST 2084 (PQ) and ARIB STD-B67 (HLG)
INTERLACED_ORDERS = range(2, 6)  # libav's field orders with two fields
DURATION = re.compile(r"([0-9]{1,4}):([0-9]{2}):([0-9]{2}(?:\.[0-9]{1,9})?)")


class FilmError(ValueError):
    """A file that cannot be used as a film: one sentence that names it and says why."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stream of a film.

    Attributes:
      index: of the stream in the file.
      codec: libav's name of it.
      clock: its time; all parts of a film have the same start.
      start_s: timestamp of what comes first in it.
      duration_s: as its header declares; None when it does not.
    """

    index: int
    codec: str
    clock: Clock
    start_s: Fraction
    duration_s: Fraction | None

    @property
    def declared_end_s(self) -> Fraction | None:
        """Timestamp at which it ends, by its header."""
        return None if self.duration_s is None else self.start_s + self.duration_s


@dataclass(frozen=True, kw_only=True)
class Picture(Part):
    """The video stream that is used.

    Attributes:
      coded: width and height of the stored picture.
      sample_aspect: width / height of one stored pixel.
      rotation: degrees counter-clockwise that make the stored picture upright: 0, 90, 180 or 270.
      variable_rate: the first frames come at uneven times, or at another rate than the average.
      interlaced: a frame holds two fields of different times.
      hdr: its transfer function is PQ or HLG; pixels are given without tone mapping.
      bits: of one component, 8 or more.
    """

    coded: tuple[int, int]
    sample_aspect: Fraction
    rotation: int
    variable_rate: bool
    interlaced: bool
    hdr: bool
    bits: int

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height as shown: square pixels, upright."""
        width, height = self.coded
        width = max(1, round(width * self.sample_aspect))
        return (height, width) if self.rotation in (90, 270) else (width, height)


@dataclass(frozen=True, kw_only=True)
class Sound(Part):
    """The audio stream that is used.

    Attributes:
      rate: samples per second of each channel.
      channels: how many.
    """

    rate: int
    channels: int


@dataclass(frozen=True)
class Film:
    """A file that holds at least one of picture and sound.

    Attributes:
      path: of the file.
      format: libav's name of the container.
      streams: one word a stream in the file's order: 'video', 'audio', 'subtitle', 'data' ...
      picture: None when there is only sound.
      sound: None when the film is silent.
    """

    path: Path
    format: str
    streams: tuple[str, ...]
    picture: Picture | None
    sound: Sound | None

    @property
    def duration_s(self) -> Fraction | None:
        """Seconds of picture, or of sound when there is no picture; None when no header says."""
        return (self.picture or self.sound).duration_s


def probe(path: str | Path) -> Film:
    """Reads headers and the first frames.

    Raises:
      FilmError: it is no film, or damaged beyond use.
      FileNotFoundError, PermissionError: the file cannot be had.
    """
    path = Path(path)
    with open_film(path) as container:
        video, audio = pick(container, "video"), pick(container, "audio")
        if video is None and audio is None:
            raise FilmError(f"{named(path)} holds neither picture nor sound that can be decoded")
        start = _film_start(video, audio)
        sound = audio and Sound(
            **_part(audio, start, container), rate=audio.sample_rate, channels=audio.channels
        )
        picture = video and _picture(video, start, container, path)
        streams = tuple(stream.type for stream in container.streams)
        return Film(path, container.format.name, streams, picture, sound)


@contextmanager
def open_film(path: Path) -> Iterator[InputContainer]:
    """Opens a file, never a playlist or an address; every decoder of it will use one thread.

    Raises:
      FilmError: it is no film.
      FileNotFoundError, PermissionError: the file cannot be had.
    """
    _check(path)
    try:
        container = av.open(
            f"file:{path.absolute()}",
            container_options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            options={"max_pixels": str(MOST_PIXELS), "threads": "1"},
            metadata_errors="replace",
        )
    except av.FFmpegError as error:
        raise FilmError(
            f"{named(path)} cannot be read as a film ({error.strerror}): it is of another kind, cut"
            " short or damaged"
        ) from error
    with container:
        yield container


def _check(path: Path) -> None:
    name = named(path)
    try:
        status = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"{name} does not exist") from None
    except OSError as error:
        raise OSError(f"{name} cannot be opened ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        raise FilmError(f"{name} is no file: give the path of a video file")
    if not status.st_size:
        raise FilmError(f"{name} is empty: copy it again")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{name} may not be read: ask for the permission to")


def named(path: Path) -> str:
    """The path for a message: quoted when it would break the line."""
    return quote_unprintable(str(path))


def pick(container: InputContainer, kind: str) -> Stream | None:
    """The stream of a kind to use: decodable, not a cover; the default one, then the largest."""
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


def only(container: InputContainer, index: int) -> Stream:
    """The stream at `index`, on one thread, with all others thrown away unread."""
    for stream in container.streams:
        stream.discard = Discard.default if stream.index == index else Discard.all
    stream = container.streams[index]
    # One process per core, one thread each, decodes more films per second than threads do.
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return stream


def _film_start(video: Stream | None, audio: Stream | None) -> Fraction:
    """The earliest timestamp; sound before zero is the encoder's run-up, which nobody hears."""
    heard = [max(_start(audio), Fraction(0))] if audio else []
    return min(heard + [_start(video)] if video else heard)


def _start(stream: Stream) -> Fraction:
    return (stream.start_time or 0) * stream.time_base


def _duration(stream: Stream, container: InputContainer) -> Fraction | None:
    """Seconds, by the stream's header; the last resort is the whole file's."""
    if stream.duration:
        return stream.duration * stream.time_base
    if match := DURATION.fullmatch(stream.metadata.get("DURATION", "")):  # Matroska: up to its end
        end = 3600 * int(match[1]) + 60 * int(match[2]) + Fraction(match[3])
        return max(end - _start(stream), Fraction(0))
    return Fraction(container.duration, av.time_base) if container.duration else None


def _part(stream: Stream, start: Fraction, container: InputContainer) -> dict[str, Any]:
    rate = getattr(stream, "average_rate", None) or Clock.rate
    return dict(
        index=stream.index,
        codec=stream.codec_context.name,
        clock=Clock(stream.time_base, start, rate),
        start_s=_start(stream),
        duration_s=_duration(stream, container),
    )


def _picture(stream: Stream, start: Fraction, container: InputContainer, path: Path) -> Picture:
    part = _part(stream, start, container)
    frame, times = _sample(container, stream.index)
    context = stream.codec_context
    header = frame or context
    width, height, pixels = header.width, header.height, header.format
    if not 0 < width * height <= MOST_PIXELS:
        size = f"{width}x{height}"
        raise FilmError(f"{named(path)} has a picture of {size}: damaged, or over {MOST_PIXELS} px")
    if part["clock"].time_base > MOST_GAP_S:
        step = float(part["clock"].time_base)
        raise FilmError(f"{named(path)} counts time in steps of {step:.0f} s: it is damaged")
    return Picture(
        **part,
        coded=(width, height),
        sample_aspect=stream.sample_aspect_ratio or Fraction(1),
        rotation=round((frame.rotation if frame else 0) / 90) * 90 % 360,
        variable_rate=_is_variable(times, part["clock"]),
        interlaced=bool(frame and frame.interlaced_frame)
        or context.field_order in INTERLACED_ORDERS,
        hdr=header.color_trc in HDR_TRANSFERS,
        bits=max((component.bits for component in pixels.components), default=8) if pixels else 8,
    )


def _sample(container: InputContainer, index: int) -> tuple[VideoFrame | None, np.ndarray]:
    """The first frame that decodes and the timestamps of the first packets in order."""
    stream, frame, times = only(container, index), None, []
    with suppress(av.FFmpegError, IndexError):  # the latter where streams appear on the way
        for packet in itertools.islice(container.demux(stream), SAMPLED_PACKETS):
            if packet.pts is not None:
                times.append(packet.pts)
            if frame is None:
                with suppress(av.FFmpegError):
                    frame = next(iter(packet.decode()), None)
    return frame, np.unique(np.array(times, np.int64))


def _is_variable(times: np.ndarray, clock: Clock) -> bool:
    """Whether many steps are not the middle one, or the middle one not the declared average."""
    if len(times) < 3:
        return False
    steps = np.diff(times)
    middle = np.median(steps)
    uneven = np.abs(steps - middle) > max(1, 0.1 * middle)  # more than rounding
    return bool(uneven.mean() > 0.05 or abs(middle / clock.frame_ticks - 1) > max(0.02, 1 / middle))
