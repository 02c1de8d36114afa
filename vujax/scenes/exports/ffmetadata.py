"""scenes.ffmetadata: chapters for `ffmpeg -i film -i scenes.ffmetadata -map_chapters 1 ...`."""

import re
from pathlib import Path

from vujax.scenes.types import Scenes
from vujax.utils.formatting import join_lines
from vujax.utils.io import write_text

TICKS = 1_000_000  # a second
SPECIAL = re.compile(r"([=;#\\\n])")


def write(scenes: Scenes, path: Path) -> list[str]:
    """Writes the file; it appears whole or not at all."""
    lines = [";FFMETADATA1", f"title={escaped(join_lines(scenes.title))}"]
    for scene in scenes.scenes:
        lines += ["[CHAPTER]", f"TIMEBASE=1/{TICKS}"]
        lines += [f"START={round(scene.begin_s * TICKS)}", f"END={round(scene.end_s * TICKS)}"]
        lines += [f"title={escaped(scene.title)}"]
    text = "\n".join(lines) + "\n"
    write_text(path, text)
    return []


def escaped(value: str) -> str:
    """A value in which no character ends it or begins a comment."""
    return SPECIAL.sub(r"\\\1", value)
