"""scenes.srt: one subtitle per chapter with its title (SubRip), for players and reviewers."""

from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.parts import list_chapters
from vujax.scenes.types import DetectedScenes
from vujax.utils.formatting import format_clock_ms
from vujax.utils.io import write_text


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically."""
    cues = [
        f"{number}\n{format_time(chapter.start_s)} --> {format_time(chapter.end_s)}\n"
        f"{chapter.title}\n"
        for number, chapter in enumerate(list_chapters(scenes), 1)
    ]
    write_text(path, "\n".join(cues))
    return []


def format_time(seconds: float) -> str:
    """Return a time as 'HH:MM:SS,mmm'."""
    return format_clock_ms(seconds).replace(".", ",")


EXPORT = SceneExport(suffix=".srt", write=write)
