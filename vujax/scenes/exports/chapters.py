"""Copy of the film with chapters; packets are copied without transcoding.

MP4, QuickTime and WebM files keep their container; all others become Matroska. Chapters of the file
are replaced. Timestamps are preserved, so chapters count from the same zero as those of the film.
"""

import errno
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.types import DetectedScenes
from vujax.utils.io import write_atomically
from vujax.video.probe import open_container

TICKS = 1_000_000  # per second
# Muxer by suffix.
MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
OTHERS = ".mkv"


def suffix_of(path: str) -> str:
    """Return the suffix of the copy of a film."""
    suffix = Path(path).suffix.lower()
    return suffix if suffix in MUXERS else OTHERS


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the copy atomically.

    Returns:
      Notes about streams that the container cannot hold.

    Raises:
      ValueError: the film cannot be read, or cannot be written to this container.
      OSError: the film is not found, or the disk is full.
    """
    source, notes = Path(scenes.path), []
    if path.exists() and path.samefile(source):
        raise ValueError("the copy would replace the film; name another output directory")
    with open_container(source) as film:
        write_atomically(path, lambda p: notes.extend(_copy(film, scenes, p, path.suffix)))
    return notes


def _copy(film: InputContainer, scenes: DetectedScenes, path: Path, suffix: str) -> list[str]:
    try:
        with av.open(f"file:{path.absolute()}", "w", format=MUXERS[suffix]) as copy:
            streams, notes = _streams(film, copy)
            copy.metadata.update(film.metadata)
            copy.set_chapters(_chapters(scenes))
            copy.start_encoding()
            if refused := _packets(film, copy, streams):
                notes.append(f"Damaged packets that are not in the copy with chapters: {refused}.")
    except av.FFmpegError as error:
        raise ValueError(f"libav cannot write the copy ({error.strerror})") from error
    return notes


def _streams(film: InputContainer, copy: OutputContainer) -> tuple[dict[int, Stream], list[str]]:
    """Add streams to the copy; return them by index in the film, and notes about those left out."""
    added, notes = {}, []
    for stream in film.streams:
        codec = stream.codec_context.name if stream.codec_context else ""
        if codec in copy.supported_codecs or (stream.type == "attachment" and _is_matroska(copy)):
            new = added[stream.index] = copy.add_stream_from_template(stream)
            new.metadata.update(stream.metadata)
            new.disposition = stream.disposition
        elif not _may_be_chapters(stream):
            kind = ", ".join(filter(None, (stream.type, codec)))
            notes.append(f"Stream {stream.index} ({kind}) is not in the copy with chapters.")
    return added, notes


def _is_matroska(copy: OutputContainer) -> bool:
    return copy.format.name == "matroska"  # WebM is Matroska without attachments


def _may_be_chapters(stream: Stream) -> bool:
    """Return whether a stream may hold the chapter titles of an MP4 file, which are replaced."""
    return stream.type == "data" and stream.metadata.get("handler_name") == "SubtitleHandler"


def _packets(film: InputContainer, copy: OutputContainer, streams: dict[int, Stream]) -> int:
    """Copy packets; return the number that the muxer refused because of invalid timestamps."""
    refused = 0
    copied = [stream for stream in film.streams if stream.index in streams]
    for packet in film.demux([stream for stream in copied if stream.type != "attachment"]):
        if packet.dts is None and not packet.size:  # end-of-stream marker
            continue
        packet.stream = streams[packet.stream.index]
        try:
            copy.mux(packet)
        except av.FFmpegError as error:
            if error.errno != errno.EINVAL:  # for example a full disk
                raise
            refused += 1
    return refused


def _chapters(scenes: DetectedScenes) -> list[dict]:
    start = float(scenes.clock.start)
    return [
        dict(
            id=scene.number,
            start=round((scene.start_s + start) * TICKS),
            end=round((scene.end_s + start) * TICKS),
            time_base=Fraction(1, TICKS),
            metadata={"title": scene.title},
        )
        for scene in scenes.scenes
    ]


EXPORT = SceneExport(suffix=suffix_of, write=write)
