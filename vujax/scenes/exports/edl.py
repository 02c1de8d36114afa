"""scenes.edl: a CMX3600 edit decision list, one event a scene; drop-frame where the rate has it."""

from pathlib import Path

from vujax.scenes.types import Scenes
from vujax.utils.formatting import join_lines
from vujax.utils.io import write_text
from vujax.video.timecode import can_drop, timecode_rate

MOST_EVENTS = 999
MOST_TITLE = 70
REEL = "AX"  # a source without a reel's name


def write(scenes: Scenes, path: Path) -> list[str]:
    """Writes the file; it appears whole or not at all."""
    rate, notes = timecode_rate(scenes.clock.rate), []
    if len(scenes.scenes) > MOST_EVENTS:
        notes.append(
            f"The EDL has {len(scenes.scenes)} events, and CMX3600 counts to {MOST_EVENTS}: some "
            "editors read no more."
        )
    odd = abs(rate / scenes.clock.rate - 1) > 1e-3
    if scenes.variable_rate or odd:
        shown = f"{float(scenes.clock.rate):.5g} frames/s"
        why = f"{shown} is no rate of timecode" if odd else "The film's frame rate varies"
        notes.append(f"{why}: the EDL counts time at {float(rate):.5g} frames/s.")
    mode = "DROP FRAME" if can_drop(rate) else "NON-DROP FRAME"
    lines = [f"TITLE: {join_lines(scenes.title)[:MOST_TITLE]}", f"FCM: {mode}", ""]
    for scene in scenes.scenes:
        span = f"{scene.begin_timecode} {scene.end_timecode}"
        lines.append(f"{scene.number:03d}  {REEL:<8} V     C        {span} {span}")
        lines.append(f"* FROM CLIP NAME: {join_lines(Path(scenes.path).name)}")
        lines.append(f"* COMMENT: {scene.title}")
    lines += [f"* {note}" for note in notes]
    text = "\n".join(lines) + "\n"
    write_text(path, text)
    return notes
