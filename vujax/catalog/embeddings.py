"""Vectors of keyframes, shots and scenes, in `vectors/<level>/<encoder>-<hash8>/<film>.parquet`.

Each file says which model made it and from what: a file of another model, or of what the film was
before it was ingested anew, is refused, and so are vectors of scenes that it no longer has. The
numbers are as the encoder gives them, in no way normalised here. Where it sees single pictures, a
shot's vector is the mean of those of its keyframes; where it does not see scenes, a scene's is the
mean of those of its shots.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vujax.catalog.parquet import read_parquet
from vujax.utils.io import remove_stale_temporaries, write_parquet

SCHEMA = 1
"""Version of these files."""

FOLDER = "vectors"
LEVELS = ("frame", "shot", "scene")
MOST_NAME = 48
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MOST_NAME - 1}}}")
FOLDER_NAME = re.compile(rf"(?P<name>{NAME.pattern})-(?P<hash8>[0-9a-f]{{8}})")
DIGEST = re.compile(r"[0-9a-f]{64}")
SOURCE_PARTS = ("keyframes", "keyframes.parquet", "shots.parquet")
PREFIX = "vujax."


@dataclass(frozen=True)
class EmbeddingModel:
    """What made vectors.

    Attributes:
      name: of the encoder.
      digest: sha256 of its weights and of the settings that change its vectors, in hexadecimal.
      dim: numbers of a vector.
    """

    name: str
    digest: str
    dim: int

    def __post_init__(self) -> None:
        check_name(self.name)
        if not DIGEST.fullmatch(self.digest) or self.dim < 1:
            raise ValueError(
                f"the encoder {self.name} needs a sha256 and a dimension, not {self.digest!r} and "
                f"{self.dim}"
            )

    @property
    def folder(self) -> str:
        """Name of the folder of its vectors."""
        return f"{self.name}-{self.digest[:8]}"


def combine_digests(*digests: str) -> str:
    """The digest of models that make vectors together."""
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def check_name(encoder: str) -> None:
    """Raises unless the name can be a folder's.

    Raises:
      ValueError: it has other characters than letters, digits, - and _, or is too long.
    """
    if not NAME.fullmatch(encoder):
        raise ValueError(
            f"{encoder!r} is no encoder's name: those have letters, digits, - and _, at most "
            f"{MOST_NAME}"
        )


def build_schema(dim: int) -> pa.Schema:
    """Columns of a file.

    `keyframe` is null for shots and scenes, whose times are those of their begin; `shot` is a
    scene's first one.
    """
    return pa.schema(
        {
            "film": pa.string(),
            "id": pa.string(),
            "shot": pa.int32(),
            "keyframe": pa.int32(),
            "pts": pa.int64(),
            "seconds": pa.float64(),
            "vector": pa.list_(pa.float32(), dim),
        }
    )


def build_rows(
    level: str, shots: pa.Table, keyframes: pa.Table, scenes: pa.Table | None = None
) -> pa.Table:
    """What has a vector, in order: all columns but `vector`.

    Args:
      level: one of LEVELS.
      shots: of a film.
      keyframes: of that film; a shot without any has no vector, nor has a scene of such shots.
      scenes: of that film, for level 'scene'.
    """
    names = ["film", "id", "shot", "keyframe", "pts", "seconds"]
    if level == "frame":
        return keyframes.select(names)
    kept = shots.filter(pc.is_in(shots["shot"], pc.unique(keyframes["shot"])))
    begins = ["film", "id", "shot", "begin_pts", "begin_s"]
    if level == "scene":
        there = np.unique(find_scene_rows(scenes, kept["shot"].to_numpy()))
        kept, begins[2] = scenes.take(there), "first_shot"
    film, id_, shot, pts, seconds = (kept[name] for name in begins)
    columns = [film, id_, shot, pa.nulls(len(kept), pa.int32()), pts, seconds]
    return pa.table(columns, names=names)


def find_scene_rows(scenes: pa.Table, shots: np.ndarray) -> np.ndarray:
    """The row of the scene that each shot lies in, int64 `[n]`.

    Args:
      scenes: of a film, in order; every shot lies in one.
      shots: numbers of shots.

    Raises:
      ValueError: a shot lies in none.
    """
    first, last = (scenes[name].to_numpy() for name in ("first_shot", "last_shot"))
    found = np.searchsorted(first, shots, side="right") - 1
    if len(shots) and (found.min() < 0 or (last[found] < shots).any()):
        raise ValueError("its scenes leave shots out: run `vujax scenes` on its film again")
    return found


def has_keyframes(manifest: Mapping[str, Any]) -> bool:
    """Whether a film has keyframes, and so can have vectors."""
    return bool(manifest.get("counts", {}).get("keyframes"))


def hash_source(manifest: Mapping[str, Any]) -> str:
    """Hash of all that a film's vectors are made from: its keyframes and shots.

    Not of the whole manifest: a new title, or a film that was moved, changes no vector.
    """
    parts = {name: manifest["files"].get(name) for name in SOURCE_PARTS}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def hash_scene_source(made_from: str, scenes: pa.Table) -> str:
    """Hash of all that vectors of a film's scenes are made from: `source`, and where they begin."""
    parts = {name: scenes[name].to_pylist() for name in ("id", "first_shot", "last_shot")}
    text = json.dumps([made_from, parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def to_matrix(table: pa.Table) -> np.ndarray:
    """The vectors of a table, float32 `[n d]`."""
    dim = table.schema.field("vector").type.list_size
    chunks = [chunk.flatten().to_numpy() for chunk in table["vector"].chunks]
    return np.concatenate([np.zeros(0, np.float32), *chunks]).reshape(-1, dim)


@dataclass(frozen=True)
class EmbeddingStore:
    """The vectors of one model at one level of a catalogue.

    Attributes:
      root: of the catalogue.
      level: one of LEVELS.
      model: that made them.
    """

    root: Path
    level: str
    model: EmbeddingModel

    def path(self, film: str) -> Path:
        """The file of a film."""
        return self.root / FOLDER / self.level / self.model.folder / f"{film}.parquet"

    def empty(self) -> pa.Table:
        """A table of no rows."""
        return build_schema(self.model.dim).empty_table()

    def write(self, film: str, made_from: str, rows: pa.Table, vectors: np.ndarray) -> None:
        """Writes a film's vectors; the file appears whole or not at all.

        Args:
          film: its id.
          made_from: `source` of its manifest, which was read before anything else of the film; of
            scenes, `source_of_scenes`.
          rows: see `rows`.
          vectors: float32 `[rows dim]`.

        Raises:
          ValueError: the numbers are of another shape, or not finite.
        """
        if vectors.shape != (len(rows), self.model.dim) or not np.isfinite(vectors).all():
            raise ValueError(
                f"{self.model.name} gave vectors {list(vectors.shape)} of {film}, not finite ones "
                f"{[len(rows), self.model.dim]}: its weights or settings are wrong"
            )
        numbers = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
        column = pa.FixedSizeListArray.from_arrays(numbers, self.model.dim)
        facts = self._facts() | {"source": made_from}
        table = rows.append_column("vector", column).cast(build_schema(self.model.dim))
        table = table.replace_schema_metadata({PREFIX + key: v for key, v in facts.items()})
        path = self.path(film)
        remove_stale_temporaries(path.parent, path.name)
        # Numbers of a network hardly shrink; a search reads them all.
        write_parquet(path, table, compression="none", use_dictionary=False)

    def is_current(self, film: str, made_from: str) -> bool:
        """Whether there are vectors of the film as it is, by this model; reads no vector."""
        try:
            found = _metadata(pq.read_schema(self.path(film)))
        except (OSError, pa.ArrowException, ValueError):
            return False
        return found == self._facts() | {"source": made_from}

    def read(self, film: str, made_from: str) -> pa.Table:
        """A film's vectors.

        Raises:
          FileNotFoundError: there are none.
          ValueError: they are damaged, of another model, or of what the film was before.
        """
        path, again = self.path(film), f"run {self._command} again"
        table = read_parquet(path, f"delete it and {again}")
        facts = _metadata(table.schema)
        found = facts.pop("source", None)
        if facts != self._facts():
            raise ValueError(
                f"{path} was made by another model or version than the other vectors here: delete "
                f"it and {again}"
            )
        if found != made_from:
            what = "the film's scenes were" if self.level == "scene" else "the film was"
            raise ValueError(f"{path} is of what {what} before: {again}")
        whole = table.schema.equals(build_schema(self.model.dim)) and not table["vector"].null_count
        if not whole:
            raise ValueError(f"{path} has other columns than vectors have: delete it and {again}")
        return table.replace_schema_metadata()

    @property
    def _command(self) -> str:
        """That makes them; scenes are made only when they are asked for."""
        level = " --level scene" if self.level == "scene" else ""
        return f"`vujax embed{level}` with {self.model.name}"

    def _facts(self) -> dict[str, str]:
        model = self.model
        about = dict(encoder=model.name, digest=model.digest, dim=str(model.dim))
        return about | dict(schema=str(SCHEMA), level=self.level)


def open_store(root: Path, level: str, encoder: str) -> EmbeddingStore:
    """The vectors of an encoder, by its name, or by name and hash.

    Raises:
      FileNotFoundError: there are none.
      ValueError: the name cannot be one, or several models answer to it.
    """
    if not FOLDER_NAME.fullmatch(encoder):
        check_name(encoder)
    if level not in LEVELS:
        raise ValueError(f"there are no vectors of level {level!r}: there are {', '.join(LEVELS)}")
    found = {
        folder: file
        for folder, file in list_folders(root, level).items()
        if encoder in (FOLDER_NAME.fullmatch(folder.name)["name"], folder.name)
    }
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise ValueError(
            f"{root} has {level} vectors of {len(found)} models named {encoder} ({names}): name "
            "one of these, or delete the others"
        )
    for folder, path in found.items():
        return EmbeddingStore(root, level, read_model(folder, path))
    scene = " --level scene" if level == "scene" else ""
    raise FileNotFoundError(
        f"{root} has no {level} vectors of {encoder}: make them with `vujax embed {root} "
        f"--encoder {encoder}{scene}`"
    )


def list_folders(root: Path, level: str) -> dict[Path, Path]:
    """Each folder of vectors of a level, in order, and the first file in it."""
    parents = (f for f in (root / FOLDER / level).glob("*") if FOLDER_NAME.fullmatch(f.name))
    files = {folder: sorted(folder.glob("[!.]*.parquet")) for folder in sorted(parents)}
    return {folder: found[0] for folder, found in files.items() if found}


def read_model(folder: Path, path: Path) -> EmbeddingModel:
    """The model that made a file of the folder.

    Raises:
      FileNotFoundError, ValueError: the file is damaged, or belongs into another folder.
    """
    try:
        facts = _metadata(pq.read_schema(path))
        model = EmbeddingModel(facts["encoder"], facts["digest"], int(facts["dim"]))
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and run `vujax embed`") from None
    if model.folder != folder.name:
        raise ValueError(f"{path} is of the model {model.folder}: delete it and run `vujax embed`")
    return model


def _metadata(found: pa.Schema) -> dict[str, str]:
    """What a file says about itself."""
    words = {
        key.decode(errors="replace"): value.decode(errors="replace")
        for key, value in (found.metadata or {}).items()
    }
    return {k.removeprefix(PREFIX): v for k, v in words.items() if k.startswith(PREFIX)}
