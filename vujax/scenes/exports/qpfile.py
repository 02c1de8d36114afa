"""scenes.qp: frames that x264 and x265 shall encode as keyframes (`--qpfile`).

Frames are counted as encoders receive them, from 0.
"""

from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.types import DetectedScenes
from vujax.utils.io import write_text

KEYFRAME = "I -1"  # an IDR frame, whose quantizer the encoder chooses


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically."""
    lines = [f"{scene.first_frame} {KEYFRAME}" for scene in scenes.scenes]
    write_text(path, "\n".join(lines) + "\n")
    return []


EXPORT = SceneExport(suffix=".qp", write=write)
