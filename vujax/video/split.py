"""Division of a film into files: by stream copy at keyframes, or re-encoded at any frame.

A decoder can only start at a keyframe, so each cut of a copy moves to the nearest one. No packet of
a copy, and no picture of files that are encoded, is lost or written twice.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.format import VideoFormat
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import VideoReformatter

from vujax.video.audio import read_samples
from vujax.video.decode import FrameReader, ReadStatus, with_next
from vujax.video.packet_times import CONTINUOUS, PacketTimes, check_times
from vujax.video.probe import (
    MATRIX,
    AudioStream,
    VideoStream,
    isolate_stream,
    list_audio_streams,
    open_container,
)
from vujax.video.remux import CopySettings, open_copy, write_packet

ENCODER = "libx264"
QUALITY = {"crf": "16", "preset": "medium"}  # of x264: no visible difference
SURROUND = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
"""Layouts for streams that declare a number of channels only."""
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
BT709 = 1


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

    Keyframes whose group of pictures shows pictures from before them do not count.

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
    """Return the times of keyframes after which no earlier picture is stored.

    Such pictures, those of an open GOP, cannot be decoded without the keyframe before.
    """
    times, found, last = PacketTimes(start_s), set(), None
    with open_container(path) as film:
        stream = isolate_stream(film, video)
        for packet in film.demux(stream):
            if not packet.size:
                continue
            times.mend(packet, stream)
            time = packet.pts * packet.time_base
            if packet.is_keyframe:
                last = time
                found.add(time)
            elif last is not None and time < last:
                found.discard(last)
    return sorted(found)


@dataclass
class _Parts:
    """Files of a division that are being written.

    Attributes:
      film: the film.
      paths: paths of the files.
      settings: settings of all of them.
      timecodes: source timecodes of their first pictures; '' for none.
      starts_s: time of the film, in seconds, at which each of them starts.
      open: those that are open, by their number, with what closes them, and their streams.
    """

    film: InputContainer
    paths: Sequence[Path]
    settings: CopySettings
    timecodes: Sequence[str]
    starts_s: Sequence[Fraction]
    open: dict[int, tuple[ExitStack, OutputContainer, dict[int, Stream]]] = field(
        default_factory=dict
    )

    def write(self, packet: Packet, index: int, number: int) -> None:
        """Write a packet of a stream of the film into one of the files."""
        if number not in self.open:
            stack, target = ExitStack(), f"file:{self.paths[number].absolute()}"
            opened = open_copy(self.film, target, self.settings, timecode=self.timecodes[number])
            copy, streams = stack.enter_context(opened)
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
    timecodes: Sequence[str],
) -> None:
    """Write the packets of a film into files, one after the other.

    Args:
      film: the film, before its first packet.
      paths: paths of the files, one more than cuts.
      settings: of `remux.find_settings`.
      video: index of the video stream.
      start_s: timestamp, in seconds, of the start of the film.
      cuts: of `plan_cuts`.
      timecodes: source timecodes of the first pictures of the files; '' for none.

    Raises:
      av.FFmpegError: a file cannot be written.
      ValueError: pictures that are stored out of order have no presentation times.
    """
    check_times(film)
    starts_s = [Fraction(0), *(cut.keyframe_s for cut in cuts)]
    parts, times = _Parts(film, paths, settings, timecodes, starts_s), PacketTimes(start_s)
    skipped, kinds = set(settings.left_out), (*CONTINUOUS, "subtitle")
    copied = [s for s in film.streams if s.index not in skipped and s.type in kinds]
    current, started = {stream.index: 0 for stream in copied}, set()
    try:
        for packet in film.demux(copied):
            stream = packet.stream
            if not packet.size or not (packet.is_keyframe or stream.index in started):
                continue  # the latter of pictures that no decoder shows
            started.add(stream.index)
            times.mend(packet, stream)
            number = _place(packet, current[stream.index], starts_s, stream.index == video)
            current[stream.index] = number
            if stream.type == "subtitle" and number + 1 < len(starts_s):
                _shorten(packet, starts_s[number + 1])
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


def _shorten(packet: Packet, end_s: Fraction) -> None:
    """End a subtitle with its file, which would otherwise last until the subtitle ends."""
    left = int(end_s / packet.time_base) - (packet.pts or 0)
    if packet.duration and packet.duration > left > 0:
        packet.duration = left


@dataclass(frozen=True)
class EncodedPart:
    """A file of a division at any frame.

    Attributes:
      path: path of the file.
      start_pts: timestamp of its first picture, in ticks of the video stream.
      start_s: seconds since the start of the film that become zero.
      timecode: source timecode of its first picture; '' for none.
    """

    path: Path
    start_pts: int
    start_s: Fraction
    timecode: str = ""


def encode_parts(path: Path, parts: Sequence[EncodedPart]) -> ReadStatus:
    """Write a film into files that start at exact frames, as H.264 and AAC.

    Every picture is in one file, with its time, size, aspect ratio, orientation, bits and color
    tags; sound is cut to the sample. Subtitles, data and attachments are left out.

    Args:
      path: path of the film.
      parts: files in order; the first has everything before the second.

    Returns:
      How the pictures were read; damaged packets are those of pictures and sound.

    Raises:
      av.FFmpegError: a file cannot be written.
      ValueError: the film cannot be read, H.264 cannot hold its pictures, or a file has none.
      OSError: the film is not found, or the disk is full.
    """
    if ENCODER not in av.codecs_available:
        raise ValueError(f"this PyAV cannot encode H.264 ({ENCODER}); use --split, which copies")
    reader, status = FrameReader(path, every_s=None), ReadStatus()
    pictures = with_next(reader.frames(status))
    with open_container(path) as film:
        start = reader.video.clock.start
        sounds = [_Sound(path, audio) for audio in list_audio_streams(film, start)]
        picture = next(pictures, None)
        for part, following in pairwise([*parts, None]):
            with av.open(f"file:{part.path.absolute()}", "w") as file:
                writer = _PartWriter(file, part, film, reader.video, sounds)
                while picture and (following is None or picture[1] < following.start_pts):
                    writer.add(picture[0], picture[1], picture[2])
                    picture = next(pictures, None)
                writer.finish(None if following is None else following.start_s)
    status.damaged += sum(sound.status.damaged for sound in sounds)
    return status


class _Sound:
    """Samples of an audio stream, taken in order."""

    def __init__(self, path: Path, audio: AudioStream) -> None:
        self.index = audio.index
        self.rate = min((r for r in AAC_RATES if r >= audio.rate), default=AAC_RATES[-1])
        with open_container(path) as film:
            self.layout = film.streams[audio.index].codec_context.layout.name
        if "channel" in self.layout:
            self.layout = SURROUND[min(audio.channels, len(SURROUND)) - 1]
        self.status = ReadStatus()
        self._blocks = read_samples(path, audio, self.rate, self.layout, self.status)
        self._block = np.zeros((0, audio.channels), np.float32)
        self._position = 0

    def take(self, end: int | None) -> Iterator[np.ndarray]:
        """Yield the samples before the one with index `end`, or all for None, `[n c]`."""
        while end is None or self._position < end:
            if not len(self._block):
                self._block = next(self._blocks, None)
                if self._block is None:
                    self._block = np.zeros((0, 1), np.float32)
                    return
            count = None if end is None else end - self._position
            piece, self._block = self._block[:count], self._block[count:] if count else ()
            self._position += len(piece)
            yield piece


class _PartWriter:
    """One file of a division that is encoded."""

    def __init__(
        self,
        file: OutputContainer,
        part: EncodedPart,
        film: InputContainer,
        video: VideoStream,
        sounds: Sequence[_Sound],
    ) -> None:
        self._file, self._part, self._film = file, part, film
        self._video, self._sounds = video, sounds
        self._reformatter = VideoReformatter()
        self._picture: Stream | None = None
        self._audio: list[Stream] = []
        self._heard = [round(part.start_s * sound.rate) for sound in sounds]
        self._firsts = tuple(self._heard)

    def add(self, frame: VideoFrame, pts: int, following: int | None) -> None:
        """Encode a picture, and the sound up to its time."""
        clock = self._video.clock
        if self._picture is None:
            self._open(frame)
        context = self._picture.codec_context
        if (frame.width, frame.height) != (context.width, context.height):
            raise ValueError(
                f"its pictures change their size at {float(clock.seconds(pts)):.2f} s; encode it "
                "at one size first"
            )
        if frame.format.name != context.pix_fmt:
            frame = _convert(frame, context.pix_fmt, self._reformatter)
        frame.pts = pts - clock.pts(self._part.start_s)
        frame.time_base = clock.time_base
        frame.duration = (pts + clock.frame_ticks if following is None else following) - pts
        frame.pict_type = PictureType.NONE  # the encoder's choice, not the film's
        self._file.mux(self._picture.encode(frame))
        self._hear(clock.seconds(pts))

    def finish(self, end_s: Fraction | None) -> None:
        """Encode the sound up to the end of the file, and complete it."""
        if self._picture is None:
            seconds = float(self._part.start_s)
            raise ValueError(f"no picture can be decoded at {seconds:.2f} s; ingest it again")
        self._hear(end_s)
        for stream in (self._picture, *self._audio):
            self._file.mux(stream.encode(None))

    def _hear(self, end_s: Fraction | None) -> None:
        """Encode the sound up to a time of the film."""
        for number, (sound, stream) in enumerate(zip(self._sounds, self._audio, strict=True)):
            end = None if end_s is None else round(end_s * sound.rate)
            for samples in sound.take(end):
                packed = np.ascontiguousarray(samples).reshape(1, -1)
                frame = AudioFrame.from_ndarray(packed, format="flt", layout=sound.layout)
                frame.sample_rate, frame.time_base = sound.rate, Fraction(1, sound.rate)
                frame.pts = self._heard[number] - self._firsts[number]
                self._heard[number] += len(samples)
                self._file.mux(stream.encode(frame))

    def _open(self, frame: VideoFrame) -> None:
        """Add the streams, of which the first picture shows the format."""
        self._picture = _add_picture(self._file, frame, self._video)
        for sound in self._sounds:
            source = self._film.streams[sound.index]
            stream = self._file.add_stream("aac", rate=sound.rate, layout=sound.layout)
            stream.metadata.update(source.metadata)
            stream.disposition = source.disposition
            self._audio.append(stream)
        metadata = self._film.metadata
        self._file.metadata.update({k: v for k, v in metadata.items() if k != "timecode"})
        if self._part.timecode:
            self._file.metadata["timecode"] = self._part.timecode


def _add_picture(file: OutputContainer, frame: VideoFrame, video: VideoStream) -> Stream:
    pixels, order = select_pixels(frame.format), {}
    if video.interlaced:
        field = "bff=1" if video.bottom_first else "tff=1"
        order = {"flags": "+ildct+ilme", "x264-params": field}
    stream = file.add_stream(ENCODER, rate=video.clock.rate, options=QUALITY | order)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixels
    context = stream.codec_context
    context.time_base, context.sample_aspect_ratio = video.clock.time_base, video.sample_aspect
    context.color_range, context.color_primaries = frame.color_range, frame.color_primaries
    context.color_trc, context.colorspace = frame.color_trc, frame.colorspace
    if frame.format.is_rgb:
        context.colorspace, context.color_range = BT709, 1
    matrices = [bytes(data) for data in frame.side_data if data.type.name == MATRIX]
    if matrices:
        stream.set_display_matrix(np.frombuffer(matrices[0], np.int32)[:9].tolist())
    return stream


def select_pixels(pixels: VideoFormat) -> str:
    """Return the format of H.264 that loses the least of a picture's.

    Raises:
      ValueError: the pictures are transparent, which H.264 cannot be.
    """
    if any(component.is_alpha for component in pixels.components):
        raise ValueError("H.264 has no transparent pictures; use --split, which copies them")
    deep = "10le" if max(component.bits for component in pixels.components) > 8 else ""
    width, height = pixels.width, pixels.height
    if len(pixels.components) == 1 and not pixels.has_palette and not (width % 2 or height % 2):
        return f"gray{deep}"
    across, down = (
        (full + part - 1) // part
        for full, part in (
            (width, pixels.chroma_width(width)),
            (height, pixels.chroma_height(height)),
        )
    )
    if pixels.is_rgb or pixels.has_palette or across == 1 or width % 2 or height % min(down, 2):
        return f"yuv444p{deep}"
    full_range = "j" if pixels.name.startswith("yuvj") else ""
    return f"yuv{full_range}{'422' if down == 1 else '420'}p{deep}"


def _convert(frame: VideoFrame, pixels: str, reformatter: VideoReformatter) -> VideoFrame:
    """Return a picture in another format, with the color space of its file."""
    if not frame.format.is_rgb:
        return reformatter.reformat(frame, format=pixels, threads=1)
    return reformatter.reformat(
        frame, format=pixels, dst_colorspace="ITU709", dst_color_range="MPEG", threads=1
    )
