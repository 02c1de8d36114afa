"""scenes.srt: one subtitle per scene with its title (SubRip), for players and reviewers."""

from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.types import DetectedScenes
from vujax.utils.formatting import format_clock_ms
from vujax.utils.io import write_text


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically."""
    cues = [
        f"{scene.number}\n{format_time(scene.start_s)} --> {format_time(scene.end_s)}\n"
        f"{scene.title}\n"
        for scene in scenes.scenes
    ]
    write_text(path, "\n".join(cues))
    return []


def format_time(seconds: float) -> str:
    """Return a time as 'HH:MM:SS,mmm'."""
    return format_clock_ms(seconds).replace(".", ",")


EXPORT = SceneExport(suffix=".srt", write=write)
