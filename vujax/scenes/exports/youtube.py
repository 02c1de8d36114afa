"""scenes.youtube.txt: chapters for the description of a video on YouTube.

YouTube shows them if the first one is at 0:00, there are at least three, and each lasts at least
ten seconds.
"""

from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.parts import Chapter, list_chapters_from_zero
from vujax.scenes.types import DetectedScenes
from vujax.utils.formatting import join_lines
from vujax.utils.io import write_text

MIN_CHAPTERS = 3
MIN_SECONDS = 10


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically and return notes about the site's rules."""
    chapters = list_chapters_from_zero(scenes)
    lines = [
        f"{format_time(round(chapter.start_s))} {join_lines(chapter.title)}" for chapter in chapters
    ]
    write_text(path, "\n".join(lines) + "\n")
    return _notes(chapters)


def _notes(chapters: list[Chapter]) -> list[str]:
    short = sum(chapter.end_s - chapter.start_s < MIN_SECONDS for chapter in chapters)
    if len(chapters) < MIN_CHAPTERS:
        return [f"YouTube shows no chapters: it needs {MIN_CHAPTERS}."]
    if short:
        return [
            f"YouTube shows no chapters: {short} last less than {MIN_SECONDS} s; choose "
            f"--min-duration {MIN_SECONDS}."
        ]
    return []


def format_time(seconds: int) -> str:
    """Return a time as 'M:SS', or 'H:MM:SS' from an hour on."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


EXPORT = SceneExport(suffix=".youtube.txt", write=write)
