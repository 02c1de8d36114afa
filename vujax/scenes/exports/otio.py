"""scenes.otio: OpenTimelineIO timeline, one clip per scene with a marker at its start.

Frames count from 0 at the start of the film, at its average rate. With a variable frame rate they
are times in units of the average frame, and each clip's metadata has the exact times. Markers on
the stack are break cues.
"""

from pathlib import Path

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.types import BreakCue, DetectedScenes, Scene
from vujax.utils.formatting import join_lines
from vujax.utils.io import write_text

METADATA_FIELDS = ("id", "begin_s", "end_s", "begin_pts", "end_pts", "begin_timecode", "first_shot")


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically and return notes about the limits of the format."""
    text = otio.adapters.write_to_string(build_timeline(scenes), adapter_name="otio_json", indent=1)
    write_text(path, text)
    if not scenes.variable_rate:
        return []
    rate = f"{float(scenes.clock.rate):.5g}"
    return [f"The film's frame rate varies: the OTIO timeline counts {rate} frames/s."]


def build_timeline(scenes: DetectedScenes) -> otio.schema.Timeline:
    """Build a timeline with one video track, whose clips all refer to the film's file."""
    track = otio.schema.Track(name="Scenes", kind=otio.schema.TrackKind.Video)
    track.extend([_clip(scene, scenes) for scene in scenes.scenes])
    timeline = otio.schema.Timeline(name=scenes.title, global_start_time=_time(0, scenes))
    timeline.tracks.append(track)
    timeline.tracks.markers.extend([_break(cue, scenes) for cue in scenes.cues or ()])
    clock, made = scenes.clock, scenes.provenance
    timeline.metadata["vujax"] = {
        "film": scenes.film,
        "rate": str(clock.rate),
        "time_base": str(clock.time_base),
        "threshold": scenes.threshold,
        **{name: made[name] for name in ("detector", "encoder", "head")},
    }
    return timeline


def _clip(scene: Scene, scenes: DetectedScenes) -> otio.schema.Clip:
    whole = _range(scenes.scenes[0].start_pts, scenes.scenes[-1].end_pts, scenes)
    span = _range(scene.start_pts, scene.end_pts, scenes)
    url = Path(scenes.path).absolute().as_uri()
    media = otio.schema.ExternalReference(target_url=url, available_range=whole)
    media.name = join_lines(Path(scenes.path).name)
    clip = otio.schema.Clip(name=scene.title, media_reference=media, source_range=span)
    row = scene.to_row()
    known = {name: row[name] for name in METADATA_FIELDS}
    clip.metadata["vujax"] = known | {"shots": scene.num_shots, "score": scene.score}
    clip.markers.append(_marker(scene.title, span.start_time, otio.schema.MarkerColor.GREEN))
    return clip


def _break(cue: BreakCue, scenes: DetectedScenes) -> otio.schema.Marker:
    kinds = [name for name in ("silent", "black") if getattr(cue, name)]
    start = scenes.scenes[cue.scene - 1].start_pts
    time = _time(scenes.clock.frame(start), scenes)
    marker = _marker(f"Break: {', '.join(kinds)}", time, otio.schema.MarkerColor.RED)
    marker.metadata["vujax"] = {"scene": cue.scene, "level_db": cue.level_db}
    return marker


def _marker(name: str, time: RationalTime, color: str) -> otio.schema.Marker:
    span = TimeRange(start_time=time, duration=RationalTime(1, time.rate))
    return otio.schema.Marker(name=name, marked_range=span, color=color)


def _range(start: int, end: int, scenes: DetectedScenes) -> TimeRange:
    first, last = (scenes.clock.frame(pts) for pts in (start, end))
    return TimeRange(start_time=_time(first, scenes), duration=_time(last - first, scenes))


def _time(frame: int, scenes: DetectedScenes) -> RationalTime:
    return RationalTime(frame, float(scenes.clock.rate))


EXPORT = SceneExport(suffix=".otio", write=write)
