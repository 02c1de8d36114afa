"""scenes.csv: one row a scene, for spreadsheets; `vujax ingest --shots` reads its times too."""

import csv
import io
from pathlib import Path

from vujax.scenes.types import Scenes
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


def write(scenes: Scenes, path: Path) -> list[str]:
    """Writes the file (RFC 4180, UTF-8); it appears whole or not at all."""
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(COLUMNS)
    for scene in scenes.scenes:
        values = {name: getattr(scene, name) for name in COLUMNS if name != "film"}
        values |= {name: f"{values[name]:.6f}" for name in ("begin_s", "end_s", "length_s")}
        values["score"] = "" if scene.score is None else f"{scene.score:.6f}"
        table.writerow([*values.values(), scenes.film])
    write_text(path, file.getvalue(), newline="")
    return []
