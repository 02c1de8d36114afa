"""scenes.vtt: a WebVTT chapters track, for `<track kind="chapters">` (W3C WebVTT)."""

from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.types import DetectedScenes
from vujax.utils.formatting import format_clock_ms, join_lines
from vujax.utils.io import write_text


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically."""
    # An arrow would end the header.
    head = f"WEBVTT Scenes of {join_lines(scenes.title).replace('-->', '->')}"
    cues = [
        f"{scene.number}\n{format_clock_ms(scene.start_s)} --> {format_clock_ms(scene.end_s)}\n"
        f"{scene.title}"
        for scene in scenes.scenes
    ]
    text = "\n\n".join([head, *cues]) + "\n"
    write_text(path, text)
    return []


EXPORT = SceneExport(suffix=".vtt", write=write)
