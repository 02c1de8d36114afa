"""scenes.segments.json: recap, intro and credits as media segments of Jellyfin (10.10).

The layout is that of its API (`GET /MediaSegments/{itemId}`) without the ids, which the server
gives. Times are in ticks of 100 ns.
"""

from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.parts import require_parts
from vujax.scenes.types import DetectedScenes
from vujax.utils.io import write_json

TICKS = 10_000_000  # per second
TYPES = {"recap": "Recap", "opening": "Intro", "closing": "Outro"}


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically.

    Raises:
      ValueError: the film was not analyzed as an episode of a series.
    """
    items = [
        dict(
            Type=TYPES[part.kind],
            StartTicks=round(part.start_s * TICKS),
            EndTicks=round(part.end_s * TICKS),
        )
        for part in require_parts(scenes)
    ]
    write_json(path, dict(Items=items, StartIndex=0, TotalRecordCount=len(items)))
    return []


EXPORT = SceneExport(suffix=".segments.json", write=write)
