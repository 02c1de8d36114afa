"""scenes.otio: an OpenTimelineIO timeline, one clip a scene with a marker where it begins.

Frames count from 0 at the film's start, at its average rate; with a variable rate they are times in
units of its average frame, and the exact ones are in each clip's metadata. Markers on the whole
stack are the places for breaks.
"""

from pathlib import Path

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange

from vujax.scenes.types import Cue, Scene, Scenes
from vujax.utils.formatting import join_lines
from vujax.utils.io import write_text

KEPT = ("id", "begin_s", "end_s", "begin_pts", "end_pts", "begin_timecode", "first_shot")


def write(scenes: Scenes, path: Path) -> list[str]:
    """Writes the file; it appears whole or not at all."""
    text = otio.adapters.write_to_string(timeline(scenes), adapter_name="otio_json", indent=1)
    write_text(path, text)
    if not scenes.variable_rate:
        return []
    rate = f"{float(scenes.clock.rate):.5g}"
    return [f"The film's frame rate varies: the OTIO timeline counts frames at {rate} frames/s."]


def timeline(scenes: Scenes) -> otio.schema.Timeline:
    """One video track; all clips are of the film's file."""
    track = otio.schema.Track(name="Scenes", kind=otio.schema.TrackKind.Video)
    track.extend([_clip(scene, scenes) for scene in scenes.scenes])
    found = otio.schema.Timeline(name=scenes.title, global_start_time=_time(0, scenes))
    found.tracks.append(track)
    found.tracks.markers.extend([_break(cue, scenes) for cue in scenes.cues or ()])
    clock, made = scenes.clock, scenes.made
    found.metadata["vujax"] = {
        "film": scenes.film,
        "rate": str(clock.rate),
        "time_base": str(clock.time_base),
        "threshold": scenes.threshold,
        **{name: made[name] for name in ("detector", "encoder", "head")},
    }
    return found


def _clip(scene: Scene, scenes: Scenes) -> otio.schema.Clip:
    whole = _range(scenes.scenes[0].begin_pts, scenes.scenes[-1].end_pts, scenes)
    span = _range(scene.begin_pts, scene.end_pts, scenes)
    url = Path(scenes.path).absolute().as_uri()
    media = otio.schema.ExternalReference(target_url=url, available_range=whole)
    media.name = join_lines(Path(scenes.path).name)
    clip = otio.schema.Clip(name=scene.title, media_reference=media, source_range=span)
    known = {name: getattr(scene, name) for name in KEPT}
    clip.metadata["vujax"] = known | {"shots": scene.shots, "score": scene.score}
    clip.markers.append(_marker(scene.title, span.start_time, otio.schema.MarkerColor.GREEN))
    return clip


def _break(cue: Cue, scenes: Scenes) -> otio.schema.Marker:
    kinds = [name for name in ("silent", "black") if getattr(cue, name)]
    begin = scenes.scenes[cue.scene - 1].begin_pts
    at = _time(scenes.clock.frame(begin), scenes)
    marker = _marker(f"Break: {', '.join(kinds)}", at, otio.schema.MarkerColor.RED)
    marker.metadata["vujax"] = {"scene": cue.scene, "level_db": cue.level_db}
    return marker


def _marker(name: str, at: RationalTime, color: str) -> otio.schema.Marker:
    span = TimeRange(start_time=at, duration=RationalTime(1, at.rate))
    return otio.schema.Marker(name=name, marked_range=span, color=color)


def _range(begin: int, end: int, scenes: Scenes) -> TimeRange:
    first, last = (scenes.clock.frame(pts) for pts in (begin, end))
    return TimeRange(start_time=_time(first, scenes), duration=_time(last - first, scenes))


def _time(frame: int, scenes: Scenes) -> RationalTime:
    return RationalTime(frame, float(scenes.clock.rate))
