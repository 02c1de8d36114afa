"""FILM-Scene-001.mp4 and so on: a file per scene that starts with its first picture, re-encoded.

Pictures become H.264 and sound AAC, at a quality that shows no difference. Matroska and QuickTime
stay; other films become MP4.
"""

from fractions import Fraction
from pathlib import Path

import av

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.exports.split import FIRST, name_stale, publish_files, select_timecodes
from vujax.scenes.types import DetectedScenes
from vujax.video.decode import FrameReader, ReadStatus
from vujax.video.probe import open_container, select_stream
from vujax.video.remux import describe_stream, is_made_by_muxer
from vujax.video.split import EncodedPart, encode_parts

SUFFIXES = (".mp4", ".mov", ".mkv")
HDR_DATA = {
    "MASTERING_DISPLAY_METADATA",
    "CONTENT_LIGHT_LEVEL",
    "DYNAMIC_HDR_PLUS",
    "DYNAMIC_HDR_VIVID",
    "DOVI_RPU_BUFFER",
    "DOVI_METADATA",
}
"""Side data of frames, by libav's names."""


def suffix_of(path: str) -> str:
    """Return the end of the name of the first file."""
    own = Path(path).suffix.lower()
    return f"{FIRST}{own if own in SUFFIXES else SUFFIXES[0]}"


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the files; none of them appears before all are complete.

    Returns:
      Notes about streams that are left out, damaged packets, and files of scenes that this run did
      not write.

    Raises:
      ValueError: the film cannot be read, or not be held by H.264 and AAC.
      OSError: the film is not found, or the disk is full.
    """
    clock, pts = scenes.clock, [scene.start_pts for scene in scenes.scenes]
    starts_s = [Fraction(0), *(clock.seconds(start) for start in pts[1:])]
    timecodes = select_timecodes(scenes, starts_s)
    with publish_files(path, len(pts)) as files:
        parts = map(EncodedPart, files, pts, starts_s, timecodes)
        try:
            status = encode_parts(Path(scenes.path), list(parts))
        except av.FFmpegError as error:
            raise ValueError(f"libav cannot encode the files ({error.strerror})") from error
    notes = [*_name_left_out(Path(scenes.path)), *_name_hdr_data(Path(scenes.path))]
    if status.damaged:
        notes.append(
            f"Damaged packets of the film: {status.damaged}; pictures or sound of files of scenes "
            "may be missing or distorted."
        )
    return [*notes, *name_stale(path, len(pts))]


def _name_left_out(path: Path) -> list[str]:
    with open_container(path) as film:
        video = select_stream(film, "video")
        others = [
            describe_stream(stream)
            for stream in film.streams
            if stream.type != "audio" and stream is not video and not is_made_by_muxer(stream)
        ]
    return [f"{name[0].upper()}{name[1:]} is not in the files of scenes." for name in others]


def _name_hdr_data(path: Path) -> list[str]:
    """Return a note about HDR metadata of the pictures, which libav's encoder does not take."""
    frame, _ = next(FrameReader(path, every_s=None).frames(ReadStatus()))
    if not HDR_DATA & {data.type.name for data in frame.side_data}:
        return []
    return [
        "Files of scenes have the film's HDR colors, but not its HDR metadata (mastering display, "
        "light levels or Dolby Vision)."
    ]


EXPORT = SceneExport(suffix=suffix_of, write=write, names_film=True)
