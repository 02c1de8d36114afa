"""Embeddings of keyframes, shots and scenes: `vectors/<level>/<encoder>-<hash8>/<film>.parquet`.

Each file records its model and a hash of its source: files of another model, of a former version of
the film or of scenes that have changed are refused. Embeddings are stored as the encoder gives
them, without normalization. If the encoder takes single images, the embedding of a shot is the mean
over its keyframes; if it does not take scenes, that of a scene is the mean over its shots.
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
"""Version of the files."""

FOLDER = "vectors"
LEVELS = ("frame", "shot", "scene")
MAX_NAME_LENGTH = 48
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_NAME_LENGTH - 1}}}")
FOLDER_NAME = re.compile(rf"(?P<name>{NAME.pattern})-(?P<hash8>[0-9a-f]{{8}})")
DIGEST = re.compile(r"[0-9a-f]{64}")
SOURCE_PARTS = ("keyframes", "keyframes.parquet", "shots.parquet")
PREFIX = "vujax."


@dataclass(frozen=True)
class EmbeddingModel:
    """Model of embeddings.

    Attributes:
      name: name of the encoder.
      digest: hexadecimal sha256 of its weights and of the settings that change its embeddings.
      dim: dimension of an embedding.
    """

    name: str
    digest: str
    dim: int

    def __post_init__(self) -> None:
        check_name(self.name)
        if not DIGEST.fullmatch(self.digest) or self.dim < 1:
            raise ValueError(
                f"the encoder {self.name} needs a sha256 and a dimension, got {self.digest!r} and "
                f"{self.dim}"
            )

    @property
    def folder(self) -> str:
        """Name of the folder of its embeddings."""
        return build_folder_name(self.name, self.digest)


def build_folder_name(name: str, digest: str) -> str:
    """Return the name of the folder of a model's embeddings."""
    return f"{name}-{digest[:8]}"


def is_name(text: str) -> bool:
    """Return True if a text is the name of an encoder, or a name and a hash."""
    return bool(NAME.fullmatch(text) or FOLDER_NAME.fullmatch(text))


def combine_digests(*digests: str) -> str:
    """Return the digest of models that compute embeddings together."""
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def check_name(encoder: str) -> None:
    """Raise unless a name is valid for an encoder, and so for a folder.

    Raises:
      ValueError: it has other characters than letters, digits, - and _, or is too long.
    """
    if not NAME.fullmatch(encoder):
        raise ValueError(
            f"{encoder!r} is not an encoder's name; expected letters, digits, - and _, at most "
            f"{MAX_NAME_LENGTH}"
        )


def build_schema(dim: int) -> pa.Schema:
    """Return the columns of a file of embeddings.

    `keyframe` is null for shots and scenes, whose times are those of their start; `shot` of a scene
    is its first one.

    Args:
      dim: dimension of an embedding.
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
    """Return the items with an embedding, in order: all columns except `vector`.

    Args:
      level: one of LEVELS.
      shots: shots of a film.
      keyframes: keyframes of that film; shots without keyframes have no embedding, and neither have
        scenes of such shots.
      scenes: scenes of that film, for level 'scene'.
    """
    names = ["film", "id", "shot", "keyframe", "pts", "seconds"]
    if level == "frame":
        return keyframes.select(names)
    items = shots.filter(pc.is_in(shots["shot"], pc.unique(keyframes["shot"])))
    starts = ["film", "id", "shot", "begin_pts", "begin_s"]
    if level == "scene":
        rows = np.unique(find_scene_rows(scenes, items["shot"].to_numpy()))
        items, starts[2] = scenes.take(rows), "first_shot"
    film, id_, shot, pts, seconds = (items[name] for name in starts)
    columns = [film, id_, shot, pa.nulls(len(items), pa.int32()), pts, seconds]
    return pa.table(columns, names=names)


def find_scene_rows(scenes: pa.Table, shots: np.ndarray) -> np.ndarray:
    """Return the row of the scene that contains each shot, int64 `[n]`.

    Args:
      scenes: scenes of a film, in order.
      shots: numbers of shots.

    Raises:
      ValueError: no scene contains one of the shots.
    """
    first, last = (scenes[name].to_numpy() for name in ("first_shot", "last_shot"))
    found = np.searchsorted(first, shots, side="right") - 1
    if len(shots) and (found.min() < 0 or (last[found] < shots).any()):
        raise ValueError("its scenes leave shots out; run `vujax scenes` on its film again")
    return found


def has_keyframes(manifest: Mapping[str, Any]) -> bool:
    """Return True if a film has keyframes, and so can have embeddings."""
    return bool(manifest.get("counts", {}).get("keyframes"))


def hash_source(manifest: Mapping[str, Any]) -> str:
    """Return a hash of the source of a film's embeddings: its keyframes and shots.

    The rest of the manifest, such as title and path, does not affect embeddings.
    """
    parts = {name: manifest["files"].get(name) for name in SOURCE_PARTS}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def hash_scene_source(source_hash: str, scenes: pa.Table) -> str:
    """Return a hash of the source of embeddings of scenes: `hash_source` and the scenes' shots."""
    parts = {name: scenes[name].to_pylist() for name in ("id", "first_shot", "last_shot")}
    text = json.dumps([source_hash, parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def to_matrix(table: pa.Table) -> np.ndarray:
    """Return the embeddings of a table, float32 `[n d]`."""
    dim = table.schema.field("vector").type.list_size
    chunks = [chunk.flatten().to_numpy() for chunk in table["vector"].chunks]
    return np.concatenate([np.zeros(0, np.float32), *chunks]).reshape(-1, dim)


@dataclass(frozen=True)
class EmbeddingStore:
    """Stored embeddings of one model at one level of a catalog.

    Attributes:
      root: folder of the catalog.
      level: one of LEVELS.
      model: model of the embeddings.
    """

    root: Path
    level: str
    model: EmbeddingModel

    def path(self, film: str) -> Path:
        """Return the path of a film's file."""
        return self.root / FOLDER / self.level / self.model.folder / f"{film}.parquet"

    def empty(self) -> pa.Table:
        """Return a table without rows."""
        return build_schema(self.model.dim).empty_table()

    def write(self, film: str, source_hash: str, rows: pa.Table, matrix: np.ndarray) -> None:
        """Write a film's embeddings atomically.

        Args:
          film: id of the film.
          source_hash: `hash_source` of its manifest, which was read before anything else of the
            film; for scenes, `hash_scene_source`.
          rows: items, see `build_rows`.
          matrix: float32 `[rows dim]`.

        Raises:
          ValueError: the matrix has another shape, or is not finite.
        """
        if matrix.shape != (len(rows), self.model.dim) or not np.isfinite(matrix).all():
            raise ValueError(
                f"{self.model.name} gave embeddings {list(matrix.shape)} of {film}, not finite "
                f"ones {[len(rows), self.model.dim]}; its weights or settings are wrong"
            )
        values = pa.array(np.ascontiguousarray(matrix, np.float32).reshape(-1))
        column = pa.FixedSizeListArray.from_arrays(values, self.model.dim)
        facts = self._facts() | {"source": source_hash}
        table = rows.append_column("vector", column).cast(build_schema(self.model.dim))
        table = table.replace_schema_metadata({PREFIX + key: v for key, v in facts.items()})
        path = self.path(film)
        remove_stale_temporaries(path.parent, path.name)
        # Floats of a network hardly compress, and a search reads them all.
        write_parquet(path, table, compression="none", use_dictionary=False)

    def is_current(self, film: str, source_hash: str) -> bool:
        """Return True if the film has embeddings of this model and source; reads no embedding."""
        try:
            found = _metadata(pq.read_schema(self.path(film)))
        except (OSError, pa.ArrowException, ValueError):
            return False
        return found == self._facts() | {"source": source_hash}

    def read(self, film: str, source_hash: str) -> pa.Table:
        """Read a film's embeddings.

        Raises:
          FileNotFoundError: there are none.
          ValueError: they are damaged, of another model, or of a former version of the film.
        """
        path, again = self.path(film), f"run {self._command} again"
        table = read_parquet(path, f"delete it and {again}")
        facts = _metadata(table.schema)
        found = facts.pop("source", None)
        if facts != self._facts():
            raise ValueError(
                f"{path} has another model or version than the other embeddings here; delete it "
                f"and {again}"
            )
        if found != source_hash:
            what = "the film's scenes" if self.level == "scene" else "the film"
            raise ValueError(f"{path} belongs to a former version of {what}; {again}")
        has_columns = table.schema.equals(build_schema(self.model.dim))
        if not has_columns or table["vector"].null_count:
            raise ValueError(f"{path} has other columns than embeddings; delete it and {again}")
        return table.replace_schema_metadata()

    @property
    def _command(self) -> str:
        """Command that computes the embeddings; scenes need their option."""
        level = " --level scene" if self.level == "scene" else ""
        return f"`vujax embed{level}` with {self.model.name}"

    def _facts(self) -> dict[str, str]:
        model = self.model
        about = dict(encoder=model.name, digest=model.digest, dim=str(model.dim))
        return about | dict(schema=str(SCHEMA), level=self.level)


def open_store(root: Path, level: str, encoder: str | None) -> EmbeddingStore:
    """Open the embeddings of an encoder.

    Args:
      root: folder of the catalog.
      level: one of LEVELS.
      encoder: name of the encoder, or name and hash (`lite-1a2b3c4d`); None: the only one there.

    Raises:
      FileNotFoundError: there are none.
      ValueError: the name or the level is invalid, or several models have this name.
    """
    if encoder is not None and not is_name(encoder):
        check_name(encoder)
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}; expected one of: {', '.join(LEVELS)}")
    found = {
        folder: file
        for folder, file in list_folders(root, level).items()
        if encoder in (None, FOLDER_NAME.fullmatch(folder.name)["name"], folder.name)
    }
    if len(found) > 1:
        named = "" if encoder is None else f" named {encoder}"
        names = ", ".join(folder.name for folder in found)
        raise ValueError(
            f"{root} has {level} embeddings of {len(found)} models{named} ({names}); choose one of "
            "these with --encoder, or delete the others"
        )
    for folder, path in found.items():
        return EmbeddingStore(root, level, read_model(folder, path))
    scene = " --level scene" if level == "scene" else ""
    raise FileNotFoundError(
        f"{root} has no {level} embeddings{f' of {encoder}' if encoder else ''}; compute them with "
        f"`vujax embed {root} --encoder {encoder or 'lite'}{scene}`"
    )


def list_folders(root: Path, level: str) -> dict[Path, Path]:
    """Return the folders of embeddings of a level, in order, each with its first file."""
    parents = (f for f in (root / FOLDER / level).glob("*") if FOLDER_NAME.fullmatch(f.name))
    files = {folder: sorted(folder.glob("[!.]*.parquet")) for folder in sorted(parents)}
    return {folder: found[0] for folder, found in files.items() if found}


def read_model(folder: Path, path: Path) -> EmbeddingModel:
    """Read the model of a file of embeddings.

    Raises:
      FileNotFoundError, ValueError: the file is damaged, or belongs into another folder.
    """
    try:
        facts = _metadata(pq.read_schema(path))
        model = EmbeddingModel(facts["encoder"], facts["digest"], int(facts["dim"]))
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and run `vujax embed`") from None
    if model.folder != folder.name:
        raise ValueError(f"{path} is of the model {model.folder}; delete it and run `vujax embed`")
    return model


def _metadata(found: pa.Schema) -> dict[str, str]:
    """Return the metadata of a file."""
    words = {
        key.decode(errors="replace"): value.decode(errors="replace")
        for key, value in (found.metadata or {}).items()
    }
    return {k.removeprefix(PREFIX): v for k, v in words.items() if k.startswith(PREFIX)}
