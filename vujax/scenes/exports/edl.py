"""scenes.edl: CMX3600 edit decision list, one event per scene, drop-frame where the rate has it."""

from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.types import DetectedScenes
from vujax.utils.formatting import join_lines
from vujax.utils.io import write_text
from vujax.video.timecode import is_drop_frame_rate, nearest_timecode_rate

MAX_EVENTS = 999
MAX_TITLE = 70
REEL = "AX"  # a source without a reel name


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically and return notes about the limits of the format."""
    rate, notes = nearest_timecode_rate(scenes.clock.rate), []
    if len(scenes.scenes) > MAX_EVENTS:
        notes.append(
            f"The EDL has {len(scenes.scenes)} events; CMX3600 allows {MAX_EVENTS}, and some "
            "editors read no more."
        )
    odd = abs(rate / scenes.clock.rate - 1) > 1e-3
    if scenes.variable_rate or odd:
        shown = f"{float(scenes.clock.rate):.5g} frames/s"
        reason = f"{shown} is not a timecode rate" if odd else "The film's frame rate varies"
        notes.append(f"{reason}: the EDL counts time at {float(rate):.5g} frames/s.")
    mode = "DROP FRAME" if is_drop_frame_rate(rate) else "NON-DROP FRAME"
    lines = [f"TITLE: {join_lines(scenes.title)[:MAX_TITLE]}", f"FCM: {mode}", ""]
    for scene in scenes.scenes:
        span = f"{scene.start_timecode} {scene.end_timecode}"
        lines.append(f"{scene.number:03d}  {REEL:<8} V     C        {span} {span}")
        lines.append(f"* FROM CLIP NAME: {join_lines(Path(scenes.path).name)}")
        lines.append(f"* COMMENT: {scene.title}")
    lines += [f"* {note}" for note in notes]
    text = "\n".join(lines) + "\n"
    write_text(path, text)
    return notes


EXPORT = SceneExport(suffix=".edl", write=write)
