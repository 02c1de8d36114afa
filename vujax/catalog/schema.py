"""Layout of a catalog on disk: paths of its files and columns of its tables."""

import json
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa

from vujax.utils.io import check_local, is_empty_folder, write_json
from vujax.video.timecode import Clock

SCHEMA = 1

"""Version of the layout; catalogs of other versions are refused."""

CATALOG_FILE = "catalog.json"

STAGING = ".staging"

MANIFESTS = "manifests"

# In the order in which they are renamed into place; the manifest follows.
PARTS = {
    "keyframes": ".array_record",
    "keyframes.parquet": ".parquet",
    "audio": ".array_record",
    "audio.parquet": ".parquet",
    "shots.parquet": ".parquet",
    "films.parquet": ".parquet",
}

# Results of later commands, removed when the shots of a film change.
DERIVED = ("scenes.parquet/{}.parquet", "vectors/*/*/{}.parquet")

FILMS = pa.schema(
    {
        "film": pa.string(),
        "path": pa.string(),  # relative to the folder
        "folder": pa.string(),  # root of the ingest run
        "status": pa.string(),  # whole | partial | error
        "reason": pa.string(),
        "detector": pa.string(),
        "frames": pa.int64(),
        "shots": pa.int32(),
        "keyframes": pa.int32(),
        "begin_s": pa.float64(),  # start of the first frame
        "end_s": pa.float64(),  # end of the display of the last frame
        "width": pa.int32(),  # as displayed
        "height": pa.int32(),
        "rate_num": pa.int64(),  # nominal frames per second
        "rate_den": pa.int64(),
        "time_base_num": pa.int64(),  # seconds of one tick of PTS
        "time_base_den": pa.int64(),
        "start_num": pa.int64(),  # timestamp of film time 0, in seconds
        "start_den": pa.int64(),
        "format": pa.string(),
        "codec": pa.string(),
        "rotation": pa.int32(),
        "variable_rate": pa.bool_(),
        "interlaced": pa.bool_(),
        "hdr": pa.bool_(),
        "bits": pa.int32(),
        "sound": pa.bool_(),
        "damaged": pa.int64(),  # packets and frames
        "repaired": pa.int64(),  # timestamps
        "source_timecode": pa.string(),  # of the first picture; null in catalogs of 0.1.0
    }
)

ADDED = ("source_timecode",)
"""Columns that catalogs of 0.1.0 lack; they are null there."""

SHOTS = pa.schema(
    {
        "film": pa.string(),
        "shot": pa.int32(),
        "id": pa.string(),
        "first_frame": pa.int64(),
        "last_frame": pa.int64(),
        "begin_pts": pa.int64(),
        "end_pts": pa.int64(),  # start of the next shot
        "time_base_num": pa.int64(),
        "time_base_den": pa.int64(),
        "begin_s": pa.float64(),  # since the start of the film
        "end_s": pa.float64(),
        # The transition at its start; null for the first shot.
        "transition": pa.string(),
        "transition_score": pa.float32(),
        "transition_last_frame": pa.int64(),  # last frame of the old shot alone
        "transition_first_frame": pa.int64(),  # first frame of the new shot alone
        "transition_begin_pts": pa.int64(),  # of these two frames
        "transition_end_pts": pa.int64(),
    }
)

KEYFRAMES = pa.schema(
    {
        "film": pa.string(),
        "shot": pa.int32(),
        "keyframe": pa.int32(),
        "id": pa.string(),
        "position": pa.float64(),  # requested position in the shot
        "pts": pa.int64(),
        "seconds": pa.float64(),
        "record": pa.int64(),  # in keyframes/<film>.array_record
        "width": pa.int32(),
        "height": pa.int32(),
    }
)

AUDIO = pa.schema(
    {
        "film": pa.string(),
        "shot": pa.int32(),
        "piece": pa.int32(),
        "first_sample": pa.int64(),  # since the start of the film
        "samples": pa.int64(),
        "rate": pa.int32(),
        "record": pa.int64(),  # in audio/<film>.array_record
    }
)


def part_path(root: Path, name: str, film: str) -> Path:
    """Return the path of a film's part, a key of PARTS."""
    return root / name / f"{film}{PARTS[name]}"


def manifest_path(root: Path, film: str) -> Path:
    """Return the path of a film's manifest."""
    return root / MANIFESTS / f"{film}.json"


def list_films(root: Path) -> list[str]:
    """Return the ids of the catalog's films, in order."""
    return sorted(path.stem for path in (root / MANIFESTS).glob("[!.]*.json"))


def create_catalog(root: Path) -> None:
    """Create an empty catalog, unless there is one.

    Raises:
      ValueError: the folder holds something else or a catalog of another version, or is the address
        of a bucket.
    """
    check_local(root)
    if not (root / CATALOG_FILE).exists():
        if root.exists() and not (root.is_dir() and is_empty_folder(root)):
            raise ValueError(
                f"{root} is not empty and is not a vujax catalog; choose an empty directory"
            )
        write_json(root / CATALOG_FILE, {"kind": "vujax catalogue", "schema": SCHEMA})
    check_catalog(root)


def check_catalog(root: Path) -> None:
    """Raise unless `root` is a catalog of this version.

    Raises:
      FileNotFoundError: there is no catalog.
      ValueError: it is of another version, or damaged.
    """
    try:
        about = json.loads((root / CATALOG_FILE).read_text("utf-8"))
        found = about["schema"]
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"{root} is not a vujax catalog; create one with `vujax ingest FOLDER --out {root}`"
        ) from None
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f'{root / CATALOG_FILE} is damaged; write {{"schema": {SCHEMA}}} into it'
        ) from None
    if found != SCHEMA:
        raise ValueError(
            f"{root} is a catalog of version {found}, and this vujax reads {SCHEMA}; ingest the "
            "films again"
        )


def build_clock(row: Mapping[str, Any]) -> Clock:
    """Return the clock of a film, which counts from its first picture, from its films row."""
    parts = ("time_base", "start", "rate")
    clock = Clock(**{name: Fraction(row[f"{name}_num"], row[f"{name}_den"]) for name in parts})
    if (start_s := row.get("begin_s")) is not None:
        clock = replace(clock, first_s=clock.pts(start_s) * clock.time_base)
    timecode = row.get("source_timecode")
    return clock.with_timecode(timecode) if timecode else clock
