"""Scenes of a catalogue's films, in `scenes.parquet/<film>.parquet`, made by `vujax scenes`.

They are those of the last run, whatever its settings; the file says what these were. It goes when
the film's shots are made anew.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from vujax.catalog.embeddings import PREFIX
from vujax.catalog.parquet import read_parquet
from vujax.utils.io import write_parquet

SCHEMA = 1
"""Version of these files."""

FOLDER = "scenes.parquet"
SCENES = pa.schema(
    {
        "film": pa.string(),
        "scene": pa.int32(),
        "id": pa.string(),
        "first_shot": pa.int32(),
        "last_shot": pa.int32(),  # still in it
        "begin_pts": pa.int64(),
        "end_pts": pa.int64(),  # where the next scene begins
        "begin_s": pa.float64(),  # since the film's start
        "end_s": pa.float64(),
        "score": pa.float32(),  # that a scene begins here; null for the first one
        "encoder": pa.string(),
        "head": pa.string(),
        "threshold": pa.float32(),  # null when the borders were not chosen by one
    }
)
REMEDY = "run `vujax scenes` on its film again"


def scenes_path(root: Path, film: str) -> Path:
    """The file of a film."""
    return root / FOLDER / f"{film}.parquet"


def write_scenes(
    root: Path, film: str, made_from: str, rows: Sequence[dict], facts: Mapping[str, Any]
) -> None:
    """Writes a film's scenes; the file appears whole or not at all.

    Args:
      root: of the catalogue.
      film: its id.
      made_from: `vectors.source` of its manifest.
      rows: of COLUMNS.
      facts: what made them, as JSON may hold it.
    """
    words = dict(schema=str(SCHEMA), source=made_from, made=json.dumps(facts, sort_keys=True))
    table = pa.Table.from_pylist(list(rows), schema=SCENES)
    table = table.replace_schema_metadata({PREFIX + key: word for key, word in words.items()})
    write_parquet(scenes_path(root, film), table)


def read_scenes(root: Path, film: str, made_from: str) -> pa.Table:
    """A film's scenes.

    Raises:
      FileNotFoundError: there are none.
      ValueError: they are damaged, of another version, or of what the film was before.
    """
    file = scenes_path(root, film)
    table = read_parquet(file, REMEDY)
    found = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if found.get(f"{PREFIX}schema") != str(SCHEMA) or table.schema.names != SCENES.names:
        raise ValueError(f"{file} is of another version: {REMEDY}")
    if found.get(f"{PREFIX}source") != made_from:
        raise ValueError(f"{file} is of what the film was before: {REMEDY}")
    return table.replace_schema_metadata()
