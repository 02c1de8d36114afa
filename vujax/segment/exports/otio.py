"""scenes.otio: an OpenTimelineIO timeline, one clip a scene with a marker where it begins."""

from pathlib import Path

import opentimelineio as otio

from vujax.files import write_atomically
from vujax.segment.scene import Scene, Scenes


def write(scenes: Scenes, path: Path) -> list[str]:
    """Writes the file; it appears whole or not at all."""
    text = otio.adapters.write_to_string(timeline(scenes), adapter_name="otio_json")
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))
    return []


def timeline(scenes: Scenes) -> otio.schema.Timeline:
    """One video track. Times are nominal frames at the film's average rate, 0 at its start."""
    track = otio.schema.Track(name="Scenes", kind=otio.schema.TrackKind.Video)
    track.extend([_clip(scene, scenes) for scene in scenes.scenes])
    found = otio.schema.Timeline(name=scenes.title)
    found.tracks.append(track)
    found.metadata["vujax"] = {"film": scenes.film, "rate": str(scenes.clock.rate)}
    return found


def _clip(scene: Scene, scenes: Scenes) -> otio.schema.Clip:
    whole = _range(scenes.scenes[0].begin_pts, scenes.scenes[-1].end_pts, scenes)
    span = _range(scene.begin_pts, scene.end_pts, scenes)
    url = Path(scenes.path).absolute().as_uri()
    media = otio.schema.ExternalReference(target_url=url, available_range=whole)
    clip = otio.schema.Clip(name=scene.title, media_reference=media, source_range=span)
    clip.metadata["vujax"] = {"id": scene.id, "score": scene.score, "begin_s": scene.begin_s}
    frame = otio.opentime.RationalTime(1, span.duration.rate)
    marker = otio.schema.Marker(
        name=scene.title,
        marked_range=otio.opentime.TimeRange(start_time=span.start_time, duration=frame),
        color=otio.schema.MarkerColor.GREEN,
    )
    clip.markers.append(marker)
    return clip


def _range(begin: int, end: int, scenes: Scenes) -> otio.opentime.TimeRange:
    clock = scenes.clock
    first, last = (clock.frame(pts) for pts in (begin, end))
    rate = float(clock.rate)
    return otio.opentime.TimeRange(
        start_time=otio.opentime.RationalTime(first, rate),
        duration=otio.opentime.RationalTime(last - first, rate),
    )
