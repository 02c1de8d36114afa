"""scenes.vtt: a WebVTT chapters track, for `<track kind="chapters">` (W3C WebVTT)."""

from pathlib import Path

from vujax.scenes.types import Scenes
from vujax.utils.formatting import clock_ms, one_line
from vujax.utils.io import write_atomically


def write(scenes: Scenes, path: Path) -> list[str]:
    """Writes the file; it appears whole or not at all."""
    # An arrow ends the header, whatever comes after it.
    head = f"WEBVTT Scenes of {one_line(scenes.title).replace('-->', '->')}"
    cues = [
        f"{scene.number}\n{clock_ms(scene.begin_s)} --> {clock_ms(scene.end_s)}\n{scene.title}"
        for scene in scenes.scenes
    ]
    text = "\n\n".join([head, *cues]) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))
    return []
