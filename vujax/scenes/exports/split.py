"""FILM-Scene-001.mkv and so on: a file per scene, copied without transcoding.

A decoder can only start at a keyframe, so each file starts at the keyframe nearest to its scene.
The containers are those of the copy with chapters.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.types import DetectedScenes
from vujax.utils.io import publish
from vujax.video.decode import probe_stream
from vujax.video.probe import open_container
from vujax.video.remux import MUXERS, find_settings, select_suffix
from vujax.video.split import Cut, plan_cuts, split_film

FIRST = "-Scene-001"
MAX_NAMED = 3  # files in a note


def suffix_of(path: str) -> str:
    """Return the end of the name of the first file."""
    return f"{FIRST}{select_suffix(path)}"


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the files; none of them appears before all are complete.

    Returns:
      Notes about the distance of keyframes from the scenes, scenes without a file of their own, and
      files of scenes that this run did not write.

    Raises:
      ValueError: the film cannot be read, or no container takes its streams.
      OSError: the film is not found, or the disk is full.
    """
    source, start_s = Path(scenes.path), scenes.clock.start
    video = probe_stream(source)[1].index
    wanted = [scene.start_pts * scenes.clock.time_base - start_s for scene in scenes.scenes[1:]]
    cuts = plan_cuts(source, video, start_s, wanted)
    with open_container(source) as film, publish_files(path, len(cuts) + 1) as parts:
        _split(film, parts, video, scenes, cuts)
    return [*_notes(scenes, cuts), *name_stale(path, len(parts))]


@contextmanager
def publish_files(path: Path, count: int) -> Iterator[list[Path]]:
    """Yield the temporary paths of the files of scenes, which appear together at the end.

    Args:
      path: path of the first file.
      count: number of files.
    """
    names = [path.name.replace(FIRST, f"-Scene-{number:03d}") for number in range(1, count + 1)]
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".split-") as folder:
        parts = [Path(folder, name) for name in names]
        yield parts
        for part in parts:
            publish(part, path.parent / part.name)


def select_timecodes(scenes: DetectedScenes, starts_s: Iterable[Fraction]) -> list[str]:
    """Return the source timecodes of files that start at these times; '' if the film has none."""
    clock = scenes.clock
    if not clock.timecode_frame and clock.drop_frame is None:
        return ["" for _ in starts_s]
    return [clock.timecode(max(clock.pts(s), clock.pts(scenes.start_s))) for s in starts_s]


def name_stale(path: Path, count: int) -> list[str]:
    """Return a note that names the files of scenes after the last one, which no run overwrites.

    They may be of a run with more scenes, or not of vujax at all, so none is removed.
    """
    stem = path.name.removesuffix(f"{FIRST}{path.suffix}")
    pattern = re.compile(rf"{re.escape(stem)}-Scene-(\d{{3,}})\.\w+")
    found = ((pattern.fullmatch(file.name), file) for file in path.parent.iterdir())
    stale = sorted(file.name for match, file in found if match and int(match[1]) > count)
    if not stale:
        return []
    more = f" and {len(stale) - MAX_NAMED} more" if len(stale) > MAX_NAMED else ""
    names = ", ".join(stale[:MAX_NAMED])
    return [f"Files of scenes that are not of this run: {names}{more}; delete those not wanted."]


def _split(
    film: InputContainer, parts: list[Path], video: int, scenes: DetectedScenes, cuts: list[Cut]
) -> None:
    settings = find_settings(film, MUXERS[parts[0].suffix])
    if settings is None or video in settings.left_out:
        raise ValueError(f"no file of kind {parts[0].suffix} takes its picture")
    starts_s = [Fraction(0), *(cut.keyframe_s for cut in cuts)]
    timecodes = select_timecodes(scenes, starts_s)
    options = dict(video=video, start_s=scenes.clock.start, cuts=cuts, timecodes=timecodes)
    try:
        split_film(film, parts, settings, **options)
    except av.FFmpegError as error:
        raise ValueError(f"libav cannot write the files ({error.strerror})") from error


def _notes(scenes: DetectedScenes, cuts: list[Cut]) -> list[str]:
    notes = []
    farthest = max((abs(cut.keyframe_s - cut.wanted_s) for cut in cuts), default=Fraction(0))
    if farthest > 1 / (2 * scenes.clock.rate):
        notes.append(
            f"Files of scenes start at keyframes, up to {float(farthest):.2f} s from the scenes."
        )
    if (lost := len(scenes.scenes) - 1 - len(cuts)) > 0:
        notes.append(
            f"Scenes without a keyframe of their own, which have no file: {lost}; --split-exact "
            "starts files at any frame."
        )
    return notes


EXPORT = SceneExport(suffix=suffix_of, write=write, names_film=True)
