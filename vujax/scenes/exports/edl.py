"""scenes.edl: CMX3600 edit decision list, one event per scene.

Source and record times are the film's own timecode: frames count from the first picture, whatever
precedes it in the container, and from the source timecode if the file has one. Lists are drop-frame
where the file says so, or where the rate has it and the file has no timecode.
"""

from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.types import DetectedScenes, Scene
from vujax.utils.formatting import join_lines
from vujax.utils.io import write_text
from vujax.video.frame_rate import EDITOR_RATES
from vujax.video.timecode import Clock, frames_per_day

MAX_EVENTS = 999
MAX_TITLE = 70
MAX_REEL = 8
MAX_RATE = 60  # frames/s: CMX3600 has two digits for frames, and editors open no faster list


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically and return notes about the limits of the format.

    Raises:
      ValueError: the frame rate is too high for an EDL.
    """
    clock = _list_clock(scenes)
    spans = [_span(scene, scenes, clock) for scene in scenes.scenes]
    notes = _notes(scenes, clock, spans)
    mode = "DROP FRAME" if clock.is_drop_frame else "NON-DROP FRAME"
    lines = [f"TITLE: {join_lines(scenes.title)[:MAX_TITLE]}", f"FCM: {mode}", ""]
    for scene, span in zip(scenes.scenes, spans, strict=True):
        times = " ".join(clock.frame_timecode(frame) for frame in span)
        lines.append(f"{scene.number:03d}  {scenes.export.reel:<8} V     C        {times} {times}")
        lines.append(f"* FROM CLIP NAME: {join_lines(Path(scenes.path).name)}")
        lines.append(f"* COMMENT: {scene.title}")
    lines += [f"* {note}" for note in notes]
    write_text(path, "\n".join(lines) + "\n")
    return notes


def _list_clock(scenes: DetectedScenes) -> Clock:
    clock = scenes.clock
    if scenes.export.edl_rate is not None:
        return clock.at_rate(scenes.export.edl_rate)
    if clock.timecode_rate > MAX_RATE:
        raise ValueError(
            f"EDLs have no rate of {float(clock.rate):.5g} frames/s; choose that of the project "
            "with --edl-rate, such as --edl-rate 60"
        )
    return clock


def _span(scene: Scene, scenes: DetectedScenes, clock: Clock) -> tuple[int, int]:
    """Return first and last position (exclusive) in frames of the list."""
    if scenes.export.edl_rate is None:
        return scene.timeline_start, scene.timeline_end
    return clock.frame(scene.start_pts), clock.frame(scene.end_pts)


def _notes(scenes: DetectedScenes, clock: Clock, spans: list[tuple[int, int]]) -> list[str]:
    notes, shown = [], f"{float(scenes.clock.rate):.5g} frames/s"
    if len(spans) > MAX_EVENTS:
        notes.append(
            f"The EDL has {len(spans)} events; CMX3600 allows {MAX_EVENTS}, and some editors read "
            "no more."
        )
    if len(scenes.export.reel) > MAX_REEL:
        notes.append(f"The EDL's reel name is longer than the {MAX_REEL} characters of CMX3600.")
    counts = f"the EDL counts time at {float(clock.timecode_rate):.5g} frames/s"
    if scenes.variable_rate:
        notes.append(f"The film's frame rate varies: {counts}.")
    elif clock.rate not in EDITOR_RATES:
        notes.append(f"{shown} is not a rate of editors: {counts}; choose another with --edl-rate.")
    elif clock.rate != scenes.clock.rate:
        notes.append(f"The film has {shown}: {counts}, and boundaries are those of nearest frames.")
    if clock.timecode_frame + spans[-1][1] > frames_per_day(
        clock.timecode_rate, clock.is_drop_frame
    ):
        notes.append("The timecode of the EDL passes midnight and goes on from 00:00:00:00.")
    return notes


EXPORT = SceneExport(suffix=".edl", write=write)
