"""The film with chapters: a copy whose packets stay as they are; nothing is encoded anew.

An MP4 or QuickTime file stays one, a WebM file too; all others become Matroska. The file's own
chapters are replaced. Timestamps are kept, so chapters count from the same zero as the film's.
"""

import errno
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from vujax.scenes.types import Scenes
from vujax.utils.io import write_atomically
from vujax.video.probe import open_film

TICKS = 1_000_000  # a second
# The muxer of each suffix.
MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
OTHERS = ".mkv"


def suffix_of(path: str) -> str:
    """Suffix of the copy."""
    suffix = Path(path).suffix.lower()
    return suffix if suffix in MUXERS else OTHERS


def write(scenes: Scenes, path: Path) -> list[str]:
    """Writes the copy; it appears whole or not at all.

    Returns:
      Which streams the container cannot take.

    Raises:
      ValueError: the film cannot be read, or cannot be written as such a file.
      OSError: it is not there, or there is no room.
    """
    source, notes = Path(scenes.path), []
    if path.exists() and path.samefile(source):
        raise ValueError("the copy would replace the film: name another folder")
    with open_film(source) as film:
        write_atomically(path, lambda p: notes.extend(_copy(film, scenes, p, path.suffix)))
    return notes


def _copy(film: InputContainer, scenes: Scenes, path: Path, suffix: str) -> list[str]:
    try:
        with av.open(f"file:{path.absolute()}", "w", format=MUXERS[suffix]) as copy:
            streams, notes = _streams(film, copy)
            copy.metadata.update(film.metadata)
            copy.set_chapters(_chapters(scenes))
            copy.start_encoding()
            if refused := _packets(film, copy, streams):
                notes.append(f"Damaged packets that are not in the copy with chapters: {refused}.")
    except av.FFmpegError as error:
        raise ValueError(f"libav cannot write it ({error.strerror})") from error
    return notes


def _streams(film: InputContainer, copy: OutputContainer) -> tuple[dict[int, Stream], list[str]]:
    """The copy's streams by the index of the film's, and those that it cannot have."""
    found, notes = {}, []
    for stream in film.streams:
        codec = stream.codec_context.name if stream.codec_context else ""
        if codec in copy.supported_codecs or (stream.type == "attachment" and _is_matroska(copy)):
            new = found[stream.index] = copy.add_stream_from_template(stream)
            new.metadata.update(stream.metadata)
            new.disposition = stream.disposition
        elif not _may_be_chapters(stream):
            kind = ", ".join(filter(None, (stream.type, codec)))
            notes.append(f"Stream {stream.index} ({kind}) is not in the copy with chapters.")
    return found, notes


def _is_matroska(copy: OutputContainer) -> bool:
    return copy.format.name == "matroska"  # WebM is one that holds no files


def _may_be_chapters(stream: Stream) -> bool:
    """Whether it is what MP4 files keep their chapters' titles in: they get new ones."""
    return stream.type == "data" and stream.metadata.get("handler_name") == "SubtitleHandler"


def _packets(film: InputContainer, copy: OutputContainer, streams: dict[int, Stream]) -> int:
    """Copies them; how many the muxer refused, for want of a timestamp that can be."""
    refused = 0
    copied = [stream for stream in film.streams if stream.index in streams]
    for packet in film.demux([stream for stream in copied if stream.type != "attachment"]):
        if packet.dts is None and not packet.size:  # the decoder's signal of the end
            continue
        packet.stream = streams[packet.stream.index]
        try:
            copy.mux(packet)
        except av.FFmpegError as error:
            if error.errno != errno.EINVAL:  # no room, for one
                raise
            refused += 1
    return refused


def _chapters(scenes: Scenes) -> list[dict]:
    start = float(scenes.clock.start)
    return [
        dict(
            id=scene.number,
            start=round((scene.begin_s + start) * TICKS),
            end=round((scene.end_s + start) * TICKS),
            time_base=Fraction(1, TICKS),
            metadata={"title": scene.title},
        )
        for scene in scenes.scenes
    ]
