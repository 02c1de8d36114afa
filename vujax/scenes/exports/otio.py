"""scenes.otio: OpenTimelineIO timeline, one clip per scene with a marker at its start.

Frames count from the first picture, at the film's nominal rate, and start with its source timecode.
With a variable frame rate they are times in units of the nominal frame, and each clip's metadata
has the exact times. Markers on the stack are break cues.
"""

from pathlib import Path

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange

from vujax.scenes.exports.base import SceneExport, note_frame_rate
from vujax.scenes.types import BreakCue, DetectedScenes, Scene
from vujax.utils.formatting import join_lines
from vujax.utils.io import write_text

METADATA_FIELDS = ("id", "begin_s", "end_s", "begin_pts", "end_pts", "begin_timecode", "first_shot")


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically and return notes about the limits of the format."""
    text = otio.adapters.write_to_string(build_timeline(scenes), adapter_name="otio_json", indent=1)
    write_text(path, text)
    return note_frame_rate(scenes, "OTIO timeline", "editors")


def build_timeline(scenes: DetectedScenes) -> otio.schema.Timeline:
    """Build a timeline with one video track, whose clips all refer to the film's file."""
    track = otio.schema.Track(name="Scenes", kind=otio.schema.TrackKind.Video)
    track.extend([_clip(scene, scenes) for scene in scenes.scenes])
    timeline = otio.schema.Timeline(name=scenes.title, global_start_time=_source_time(0, scenes))
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
    whole = _range(scenes.scenes[0].timeline_start, scenes.scenes[-1].timeline_end, scenes)
    span = _range(scene.timeline_start, scene.timeline_end, scenes)
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
    # Markers of a stack count from its start, not from the source timecode.
    time = RationalTime(scenes.scenes[cue.scene - 1].timeline_start, float(scenes.clock.rate))
    marker = _marker(f"Break: {', '.join(kinds)}", time, otio.schema.MarkerColor.RED)
    marker.metadata["vujax"] = {"scene": cue.scene, "level_db": cue.level_db}
    return marker


def _marker(name: str, time: RationalTime, color: str) -> otio.schema.Marker:
    span = TimeRange(start_time=time, duration=RationalTime(1, time.rate))
    return otio.schema.Marker(name=name, marked_range=span, color=color)


def _range(start: int, end: int, scenes: DetectedScenes) -> TimeRange:
    duration = RationalTime(end - start, float(scenes.clock.rate))
    return TimeRange(start_time=_source_time(start, scenes), duration=duration)


def _source_time(frame: int, scenes: DetectedScenes) -> RationalTime:
    """Return the source timecode of a position of the timeline, in the film's frames."""
    return RationalTime(scenes.clock.source_frame + frame, float(scenes.clock.rate))


EXPORT = SceneExport(suffix=".otio", write=write)
