"""scenes.keyframes.txt: first frames of scenes as `keyframe format v1`, for Aegisub and others."""

from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.types import DetectedScenes
from vujax.utils.io import write_text

HEADER = ("# keyframe format v1", "fps 0")  # 0: programs take the rate of the film


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically."""
    lines = [*HEADER, *(str(scene.first_frame) for scene in scenes.scenes)]
    write_text(path, "\n".join(lines) + "\n")
    return []


EXPORT = SceneExport(suffix=".keyframes.txt", write=write)
