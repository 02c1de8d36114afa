"""scenes.csv: one row per scene, for spreadsheets; `vujax ingest --shots` reads its times too."""

import csv
import io
from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.types import DetectedScenes
from vujax.utils.io import write_text

COLUMNS = (
    "number",
    "id",
    "begin_s",
    "end_s",
    "length_s",
    "begin_timecode",
    "end_timecode",
    "first_frame",
    "last_frame",
    "begin_pts",
    "end_pts",
    "first_shot",
    "last_shot",
    "shots",
    "score",
    "film",
)


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file (RFC 4180, UTF-8) atomically."""
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(COLUMNS)
    for scene in scenes.scenes:
        row = scene.to_row() | {"film": scenes.film}
        row |= {name: f"{row[name]:.6f}" for name in ("begin_s", "end_s", "length_s")}
        row["score"] = "" if scene.score is None else f"{scene.score:.6f}"
        table.writerow([row[name] for name in COLUMNS])
    write_text(path, file.getvalue(), newline="")
    return []


EXPORT = SceneExport(suffix=".csv", write=write)
