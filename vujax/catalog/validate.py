"""Whether a catalogue is whole: what its manifests promise against what its files hold.

Whether the scenes of a catalogue are whole, and of the films as they are now.

Whether the vectors of a catalogue are whole, and of the films as they are now.
"""

import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from vujax.catalog import embeddings, scenes, schema
from vujax.catalog import schema as layout
from vujax.catalog.parquet import read_parquet
from vujax.catalog.reader import TABLE_SCHEMAS
from vujax.catalog.records import RecordReader
from vujax.catalog.writer import describe_file, read_manifest

REMEDY = "ingest it again"


def find_problems(root: Path, *, pictures: bool = True) -> Iterator[str]:
    """What is wrong, one sentence each; nothing for a whole catalogue.

    Args:
      root: of the catalogue.
      pictures: also decode every keyframe.

    Raises:
      FileNotFoundError, ValueError: there is no catalogue of this version.
    """
    layout.check_catalog(root)
    films = layout.list_films(root)
    for film in films:
        try:
            yield from _film(root, film, pictures)
        except (OSError, ValueError) as error:
            yield f"{film}: {error}"
    yield from find_orphans(root, set(films))
    yield from find_embedding_problems(root, set(films))
    yield from find_scene_problems(root, set(films))


def find_orphans(root: Path, films: set[str]) -> Iterator[str]:
    """Files that belong to no film of the catalogue."""
    for name, suffix in layout.PARTS.items():
        for path in sorted((root / name).iterdir() if (root / name).is_dir() else ()):
            if path.suffix != suffix or path.name.removesuffix(suffix) not in films:
                yield f"{path} belongs to no film of the catalogue: delete it, or ingest its film"
    for path in sorted((root / layout.STAGING).glob("*")):
        yield f"{path} is of a film that is being made, or was left by another machine"


def _film(root: Path, film: str, pictures: bool) -> Iterator[str]:
    manifest = read_manifest(root, film)
    if manifest is None:
        yield f"{film}: its manifest is damaged: {REMEDY}"
        return
    altered = list(_files(root, film, manifest["files"]))
    yield from altered
    if not altered:
        tables = {
            name: read_parquet(layout.part_path(root, name, film))
            for name in manifest["files"]
            if name in TABLE_SCHEMAS
        }
        yield from _tables(film, tables, manifest)
        if "keyframes" in manifest["files"]:
            path = layout.part_path(root, "keyframes", film)
            yield from _keyframes(film, tables["keyframes.parquet"], path, pictures)


def _files(root: Path, film: str, files: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Parts that are not what the manifest says, and those it does not name."""
    for name in layout.PARTS:
        path = layout.part_path(root, name, film)
        if name not in files:
            if path.exists():
                yield f"{path} is not in the manifest of its film: {REMEDY}"
        elif not path.exists():
            yield f"{path} is missing: {REMEDY}"
        elif describe_file(path) != files[name]:
            yield f"{path} was altered: {REMEDY}"


def _tables(film: str, tables: dict[str, pa.Table], manifest: dict[str, Any]) -> Iterator[str]:
    for name, table in tables.items():
        schema = TABLE_SCHEMAS[name]
        if table.schema.names[: len(schema)] != schema.names:
            version = layout.SCHEMA
            yield f"{film}: the columns of {name} are not those of version {version}: {REMEDY}"
            return
        if set(table["film"].to_pylist()) - {film}:
            yield f"{film}: {name} has rows of another film: {REMEDY}"
    counts = {name: len(table) for name, table in tables.items()}
    promised = manifest.get("counts", {})
    for what, name in (("shots", "shots.parquet"), ("keyframes", "keyframes.parquet")):
        found, wanted = counts.get(name, 0), promised.get(what)
        if found != wanted:
            yield f"{film}: {found} {what}, not {wanted} as its manifest says: {REMEDY}"
    if "shots.parquet" in tables:
        yield from _shots(film, tables["shots.parquet"], promised.get("frames"))
    if "keyframes.parquet" in tables:
        yield from _keyframe_rows(film, tables)


def _shots(film: str, table: pa.Table, frames: int | None) -> Iterator[str]:
    """The shots must be in order, named once, and have each frame once."""
    rows = table.to_pylist()
    if [row["shot"] for row in rows] != list(range(len(rows))):
        yield f"{film}: its shots are not in order: {REMEDY}"
    if len({row["id"] for row in rows}) != len(rows):
        yield f"{film}: two of its shots have one id: {REMEDY}"
    ends = [-1, *(row["last_frame"] for row in rows)]
    firsts = [*(row["first_frame"] for row in rows), frames]
    times = [(a["end_pts"], b["begin_pts"]) for a, b in itertools.pairwise(rows)]
    gaps = any(first != end + 1 for end, first in zip(ends, firsts, strict=True))
    if gaps or any(end != begin for end, begin in times):
        yield f"{film}: its shots leave gaps or overlap: {REMEDY}"
    if any(row["last_frame"] < row["first_frame"] for row in rows):
        yield f"{film}: a shot has no frame: {REMEDY}"


def _keyframe_rows(film: str, tables: dict[str, pa.Table]) -> Iterator[str]:
    rows = tables["keyframes.parquet"].to_pylist()
    spans = {
        row["shot"]: (row["begin_pts"], row["end_pts"])
        for row in tables["shots.parquet"].to_pylist()
    }
    order = [(row["shot"], row["keyframe"]) for row in rows]
    if order != sorted(set(order)):
        yield f"{film}: its keyframes are not in order, or named twice: {REMEDY}"
    nowhere = (0, 0)
    for row in rows:
        begin, end = spans.get(row["shot"], nowhere)
        if not begin <= row["pts"] < end:
            yield f"{row['id']}: the keyframe lies outside its shot: {REMEDY}"


def _keyframes(film: str, table: pa.Table, path: Path, pictures: bool) -> Iterator[str]:
    """Every keyframe must have a record, and that must be a picture."""
    reader = RecordReader(path)
    rows = table.to_pylist()
    if missing := sum(not 0 <= row["record"] < len(reader) for row in rows):
        yield f"{film}: {missing} of its keyframes have no picture: {REMEDY}"
        return
    sizes: dict[int, set[tuple[int, int]]] = {}
    for row in rows:
        sizes.setdefault(row["record"], set()).add((row["width"], row["height"]))
    for row in {row["record"]: row for row in rows}.values() if pictures else ():
        try:
            with Image.open(io.BytesIO(reader[row["record"]]), formats=["JPEG"]) as image:
                image.load()
                size = image.size
        except Exception as error:  # Pillow answers damaged files with almost any exception
            yield f"{row['id']}: its picture cannot be decoded ({error}): {REMEDY}"
            continue
        if {size} != sizes[row["record"]]:
            yield f"{row['id']}: its picture is of another size than its row says: {REMEDY}"


def find_scene_problems(root: Path, films: set[str]) -> Iterator[str]:
    """What is wrong, one sentence each.

    Args:
      root: of the catalogue.
      films: in it.
    """
    for path in sorted((root / scenes.FOLDER).glob("*")):
        if path.name.startswith("."):
            yield f"{path} is being made, or was left by a run that was killed: delete it"
        elif path.suffix != ".parquet" or path.stem not in films:
            yield f"{path} belongs to no film of the catalogue: delete it"
        elif manifest := read_manifest(root, path.stem):  # else said already
            try:
                yield from _film_scene_problems(root, path.stem, embeddings.hash_source(manifest))
            except (OSError, ValueError) as error:
                yield f"{path.stem}: {error}"


def _film_scene_problems(root: Path, film: str, made_from: str) -> Iterator[str]:
    """Its scenes must have each of its shots once, in order."""
    rows = scenes.read_scenes(root, film, made_from).to_pylist()
    shots = len(read_parquet(schema.part_path(root, "shots.parquet", film)))
    firsts = [*(row["first_shot"] for row in rows), shots]
    ends = [-1, *(row["last_shot"] for row in rows)]
    if any(first != end + 1 for first, end in zip(firsts, ends, strict=True)):
        yield f"{film}: its scenes leave shots out or have one twice: {scenes.REMEDY}"


def find_embedding_problems(root: Path, films: set[str]) -> Iterator[str]:
    """What is wrong, one sentence each.

    Args:
      root: of the catalogue.
      films: in it.
    """
    for level in sorted((root / embeddings.FOLDER).glob("*")):
        if level.name not in embeddings.LEVELS:
            yield f"{level} holds no vectors that this vujax knows: delete it"
            continue
        for folder in sorted(level.glob("*")):
            if folder.is_dir() and embeddings.FOLDER_NAME.fullmatch(folder.name):
                yield from _folder(root, level.name, folder, films)
            else:
                yield f"{folder} is no folder of an encoder's vectors: delete it"


def _folder(root: Path, level: str, folder: Path, films: set[str]) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            yield f"{path} is being made, or was left by a run that was killed: delete it"
        elif path.suffix != ".parquet" or path.stem not in films:
            yield f"{path} belongs to no film of the catalogue: delete it"
        else:
            try:
                yield from _file(root, level, folder, path)
            except (OSError, ValueError) as error:
                yield f"{path.stem}: {error}"


def _file(root: Path, level: str, folder: Path, path: Path) -> Iterator[str]:
    film, again = path.stem, "delete it and run `vujax embed` again"
    manifest = read_manifest(root, film)
    if manifest is None:  # said already
        return
    shelf = embeddings.EmbeddingStore(root, level, embeddings.read_model(folder, path))
    source, divided = embeddings.hash_source(manifest), None
    if level == "scene":
        divided = scenes.read_scenes(root, film, source)
        source = embeddings.hash_scene_source(source, divided)
    table = shelf.read(film, source)
    shots, keyframes = (
        read_parquet(schema.part_path(root, name, film))
        for name in ("shots.parquet", "keyframes.parquet")
    )
    if not table.drop_columns("vector").equals(
        embeddings.build_rows(level, shots, keyframes, divided)
    ):
        yield f"{path} has not one row for each {level} of its film, in order: {again}"
    if not np.isfinite(embeddings.to_matrix(table)).all():
        yield f"{path} has numbers that are not finite: {again}"
