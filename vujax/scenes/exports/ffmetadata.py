"""scenes.ffmetadata: chapters for `ffmpeg -i film -i scenes.ffmetadata -map_chapters 1 ...`."""

import re
from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.parts import list_chapters
from vujax.scenes.types import DetectedScenes
from vujax.utils.formatting import join_lines
from vujax.utils.io import write_text

TICKS = 1_000_000  # per second
SPECIAL = re.compile(r"([=;#\\\n])")


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically."""
    lines = [";FFMETADATA1", f"title={escape(join_lines(scenes.title))}"]
    for chapter in list_chapters(scenes):
        lines += ["[CHAPTER]", f"TIMEBASE=1/{TICKS}"]
        lines += [f"START={round(chapter.start_s * TICKS)}", f"END={round(chapter.end_s * TICKS)}"]
        lines += [f"title={escape(chapter.title)}"]
    text = "\n".join(lines) + "\n"
    write_text(path, text)
    return []


def escape(value: str) -> str:
    """Escape the characters that would end a value or start a comment."""
    return SPECIAL.sub(r"\\\1", value)


EXPORT = SceneExport(suffix=".ffmetadata", write=write)
