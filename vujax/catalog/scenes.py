"""Scenes of a catalog's films: `scenes.parquet/<film>.parquet`, written by `vujax scenes`.

A file holds the scenes of the last run and records its settings. It is removed when the film's
shots change.
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
"""Version of the files."""

FOLDER = "scenes.parquet"
SCENES = pa.schema(
    {
        "film": pa.string(),
        "scene": pa.int32(),
        "id": pa.string(),
        "first_shot": pa.int32(),
        "last_shot": pa.int32(),  # inclusive
        "begin_pts": pa.int64(),
        "end_pts": pa.int64(),  # start of the next scene
        "begin_s": pa.float64(),  # since the start of the film
        "end_s": pa.float64(),
        "score": pa.float32(),  # of the boundary at its start; null for the first scene
        "encoder": pa.string(),
        "head": pa.string(),
        "threshold": pa.float32(),  # null if the boundaries were not selected by one
    }
)
REMEDY = "run `vujax scenes` on its film again"


def scenes_path(root: Path, film: str) -> Path:
    """Return the path of a film's file."""
    return root / FOLDER / f"{film}.parquet"


def write_scenes(
    root: Path, film: str, source_hash: str, rows: Sequence[dict], facts: Mapping[str, Any]
) -> None:
    """Write a film's scenes atomically.

    Args:
      root: folder of the catalog.
      film: id of the film.
      source_hash: `embeddings.hash_source` of its manifest.
      rows: rows with the columns of SCENES.
      facts: settings of the run, JSON-serializable.
    """
    words = dict(schema=str(SCHEMA), source=source_hash, made=json.dumps(facts, sort_keys=True))
    table = pa.Table.from_pylist(list(rows), schema=SCENES)
    table = table.replace_schema_metadata({PREFIX + key: word for key, word in words.items()})
    write_parquet(scenes_path(root, film), table)


def read_scenes(root: Path, film: str, source_hash: str) -> pa.Table:
    """Read a film's scenes.

    Raises:
      FileNotFoundError: there are none.
      ValueError: they are damaged, of another version, or of a former version of the film.
    """
    file = scenes_path(root, film)
    table = read_parquet(file, REMEDY)
    found = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if found.get(f"{PREFIX}schema") != str(SCHEMA) or table.schema.names != SCENES.names:
        raise ValueError(f"{file} is of another version; {REMEDY}")
    if found.get(f"{PREFIX}source") != source_hash:
        raise ValueError(f"{file} belongs to a former version of the film; {REMEDY}")
    return table.replace_schema_metadata()
