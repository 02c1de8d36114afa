"""Copy of the film with chapters; packets are copied without transcoding.

Films become MP4 if browsers play their codecs and MP4 takes all of their streams, so that the page
plays them; WebM stays. Others keep their container where it takes all streams, or become Matroska,
QuickTime or NUT: the first that does. Chapters of the file are replaced. The copy starts at 0, as
the film does in players.
"""

from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from av.container import InputContainer

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.parts import list_chapters_from_zero
from vujax.scenes.types import DetectedScenes
from vujax.utils.io import write_atomically
from vujax.video.probe import open_container, probe_film
from vujax.video.remux import (
    ESSENTIAL,
    MUXERS,
    copy_film,
    describe_stream,
    find_settings,
    select_suffix,
)

TICKS = 1_000_000  # per second


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the copy atomically.

    Returns:
      Notes about data streams that the container cannot hold, and about damaged packets.

    Raises:
      ValueError: the film cannot be read, or the container cannot hold its picture, sound or
        subtitles.
      OSError: the film is not found, or the disk is full.
    """
    source, notes = Path(scenes.path), []
    if path.exists() and path.samefile(source):
        raise ValueError("the copy would replace the film; name another output directory")
    with open_container(source) as film:
        write_atomically(path, lambda p: notes.extend(_copy(film, scenes, p, path.suffix)))
    return notes


def _copy(film: InputContainer, scenes: DetectedScenes, path: Path, suffix: str) -> list[str]:
    settings = find_settings(film, MUXERS[suffix])
    left_out = film.streams if settings is None else [film.streams[i] for i in settings.left_out]
    essential = [stream for stream in left_out if stream.type in ESSENTIAL]
    if settings is None or essential:
        names = ", ".join(map(describe_stream, essential or left_out))
        raise ValueError(f"no container for chapters takes {names}; use the format ffmetadata")
    video = probe_film(scenes.path).video
    options = dict(start_s=scenes.clock.start, timecode=video.timecode if video else "")
    try:
        refused = copy_film(film, path, settings, chapters=build_chapters(scenes), **options)
    except av.FFmpegError as error:
        raise ValueError(f"libav cannot write the copy ({error.strerror})") from error
    notes = [f"{describe_stream(stream)} is not in the copy with chapters." for stream in left_out]
    notes = [note[0].upper() + note[1:] for note in notes]
    if settings.loses_aspect:
        notes.append(f"The copy with chapters ({suffix}) lacks the aspect ratio that the film has.")
    if refused:
        notes.append(f"Damaged packets that are not in the copy with chapters: {refused}.")
    return notes


def build_chapters(scenes: DetectedScenes) -> list[dict]:
    """Return the chapters, the first from 0, as PyAV's `set_chapters` takes them."""
    return [
        dict(
            id=number,
            start=round(chapter.start_s * TICKS),
            end=round(chapter.end_s * TICKS),
            time_base=Fraction(1, TICKS),
            metadata={"title": chapter.title},
        )
        for number, chapter in enumerate(list_chapters_from_zero(scenes), 1)
    ]


EXPORT = SceneExport(suffix=partial(select_suffix, for_browsers=True), write=write)
