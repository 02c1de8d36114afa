"""scenes.vtt: a WebVTT chapters track, for `<track kind="chapters">` (W3C WebVTT)."""

from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.parts import list_chapters
from vujax.scenes.types import DetectedScenes
from vujax.utils.formatting import format_clock_ms, join_lines
from vujax.utils.io import write_text


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically."""
    # An arrow would end the header.
    head = f"WEBVTT Scenes of {join_lines(scenes.title).replace('-->', '->')}"
    cues = [
        f"{number}\n{format_clock_ms(chapter.start_s)} --> {format_clock_ms(chapter.end_s)}\n"
        f"{chapter.title}"
        for number, chapter in enumerate(list_chapters(scenes), 1)
    ]
    text = "\n\n".join([head, *cues]) + "\n"
    write_text(path, text)
    return []


EXPORT = SceneExport(suffix=".vtt", write=write)
