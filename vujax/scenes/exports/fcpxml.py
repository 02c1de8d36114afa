"""scenes.fcpxml: Final Cut Pro XML 1.10, a project with one clip and one marker per scene.

Times are fractions of a second that are whole frames of the film, counted from its source timecode.
"""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

from vujax.scenes.exports.base import SceneExport, note_frame_rate
from vujax.scenes.types import DetectedScenes, Scene
from vujax.utils.formatting import join_lines
from vujax.utils.io import write_text
from vujax.video.probe import AudioStream, probe_film

HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n'
VERSION = "1.10"
FORMAT, ASSET = "r1", "r2"


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically and return notes about the limits of the format."""
    root = ET.Element("fcpxml", version=VERSION)
    _add_resources(root, scenes)
    _add_project(root, scenes)
    ET.indent(root)
    write_text(path, HEADER + ET.tostring(root, encoding="unicode") + "\n")
    return note_frame_rate(scenes, "FCPXML project", "Final Cut Pro")


def _add_resources(root: ET.Element, scenes: DetectedScenes) -> None:
    resources = ET.SubElement(root, "resources")
    width, height = scenes.size
    ET.SubElement(
        resources,
        "format",
        id=FORMAT,
        frameDuration=_format_time(1 / scenes.clock.rate),
        width=str(width),
        height=str(height),
    )
    name = join_lines(Path(scenes.path).name)
    facts = dict(id=ASSET, name=name, hasVideo="1", format=FORMAT, videoSources="1")
    facts |= dict(start=_time(0, scenes), duration=_duration(_num_frames(scenes), scenes))
    if (audio := _find_audio(scenes)) is not None:
        facts |= dict(hasAudio="1", audioSources="1")
        facts |= dict(audioChannels=str(audio.channels), audioRate=str(audio.rate))
    asset = ET.SubElement(resources, "asset", facts)
    url = Path(scenes.path).absolute().as_uri()
    ET.SubElement(asset, "media-rep", kind="original-media", src=url)


def _add_project(root: ET.Element, scenes: DetectedScenes) -> None:
    event = ET.SubElement(ET.SubElement(root, "library"), "event", name=join_lines(scenes.title))
    project = ET.SubElement(event, "project", name=f"{join_lines(scenes.title)}: scenes")
    sequence = ET.SubElement(
        project,
        "sequence",
        format=FORMAT,
        tcStart=_time(0, scenes),
        tcFormat=_timecode_format(scenes),
        duration=_duration(_num_frames(scenes), scenes),
    )
    spine = ET.SubElement(sequence, "spine")
    for scene in scenes.scenes:
        _add_clip(spine, scene, scenes)


def _add_clip(spine: ET.Element, scene: Scene, scenes: DetectedScenes) -> None:
    start = _time(scene.timeline_start, scenes)
    clip = ET.SubElement(
        spine,
        "asset-clip",
        ref=ASSET,
        name=scene.title,
        offset=start,
        start=start,
        duration=_duration(scene.timeline_end - scene.timeline_start, scenes),
        format=FORMAT,
        tcFormat=_timecode_format(scenes),
    )
    ET.SubElement(clip, "marker", start=start, duration=_duration(1, scenes), value=scene.title)


def _find_audio(scenes: DetectedScenes) -> AudioStream | None:
    """Return the film's sound; None if it has none, or the file is no longer there."""
    with suppress(ValueError, OSError):
        return probe_film(scenes.path).audio
    return None


def _num_frames(scenes: DetectedScenes) -> int:
    return scenes.scenes[-1].timeline_end - scenes.scenes[0].timeline_start


def _timecode_format(scenes: DetectedScenes) -> str:
    return "DF" if scenes.clock.is_drop_frame else "NDF"


def _time(frame: int, scenes: DetectedScenes) -> str:
    """Return the source timecode of a position of the timeline, in seconds."""
    return _duration(scenes.clock.source_frame + frame, scenes)


def _duration(frames: int, scenes: DetectedScenes) -> str:
    return _format_time(frames / scenes.clock.rate)


def _format_time(seconds: Fraction) -> str:
    """Return a fraction of a second as '1001/24000s'."""
    if seconds.denominator == 1:
        return f"{seconds.numerator}s"
    return f"{seconds.numerator}/{seconds.denominator}s"


EXPORT = SceneExport(suffix=".fcpxml", write=write)
