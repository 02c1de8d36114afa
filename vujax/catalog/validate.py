"""Validation of a catalog: files against manifests, scenes and embeddings against their films."""

import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from vujax.catalog import embeddings, scenes
from vujax.catalog import schema as layout
from vujax.catalog.parquet import read_parquet
from vujax.catalog.reader import TABLE_SCHEMAS
from vujax.catalog.records import RecordReader
from vujax.catalog.writer import describe_file, read_manifest

REMEDY = "ingest it again"


def find_problems(root: Path, *, decode_images: bool = True) -> Iterator[str]:
    """Yield one sentence per problem of a catalog.

    Args:
      root: folder of the catalog.
      decode_images: also decode every keyframe.

    Raises:
      FileNotFoundError, ValueError: there is no catalog of this version.
    """
    layout.check_catalog(root)
    films = layout.list_films(root)
    for film in films:
        try:
            yield from _find_film_problems(root, film, decode_images)
        except (OSError, ValueError) as error:
            yield f"{film}: {error}"
    yield from find_orphans(root, set(films))
    yield from find_embedding_problems(root, set(films))
    yield from find_scene_problems(root, set(films))


def find_orphans(root: Path, films: set[str]) -> Iterator[str]:
    """Yield the files that belong to no film of the catalog."""
    for name, suffix in layout.PARTS.items():
        for path in sorted((root / name).iterdir() if (root / name).is_dir() else ()):
            if path.suffix != suffix or path.name.removesuffix(suffix) not in films:
                yield f"{path} belongs to no film of the catalog; delete it, or ingest its film"
    for path in sorted((root / layout.STAGING).glob("*")):
        yield f"{path} is of a film in work, or was left by another machine"


def _find_film_problems(root: Path, film: str, decode_images: bool) -> Iterator[str]:
    manifest = read_manifest(root, film)
    if manifest is None:
        yield f"{film}: its manifest is damaged; {REMEDY}"
        return
    problems = list(_check_files(root, film, manifest["files"]))
    yield from problems
    if not problems:
        tables = {
            name: read_parquet(layout.part_path(root, name, film))
            for name in manifest["files"]
            if name in TABLE_SCHEMAS
        }
        yield from _check_tables(film, tables, manifest)
        if "keyframes" in manifest["files"]:
            path = layout.part_path(root, "keyframes", film)
            yield from _check_images(film, tables["keyframes.parquet"], path, decode_images)


def _check_files(root: Path, film: str, files: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Check that the parts are those of the manifest."""
    for name in layout.PARTS:
        path = layout.part_path(root, name, film)
        if name not in files:
            if path.exists():
                yield f"{path} is not in the manifest of its film; {REMEDY}"
        elif not path.exists():
            yield f"{path} is missing; {REMEDY}"
        elif describe_file(path) != files[name]:
            yield f"{path} was altered; {REMEDY}"


def _check_tables(
    film: str, tables: dict[str, pa.Table], manifest: dict[str, Any]
) -> Iterator[str]:
    for name, table in tables.items():
        names, found = TABLE_SCHEMAS[name].names, table.schema.names
        former = [column for column in names if column not in layout.ADDED]
        if names != found[: len(names)] and former != found[: len(former)]:
            version = layout.SCHEMA
            yield f"{film}: the columns of {name} are not those of version {version}; {REMEDY}"
            return
        if set(table["film"].to_pylist()) - {film}:
            yield f"{film}: {name} has rows of another film; {REMEDY}"
    counts = {name: len(table) for name, table in tables.items()}
    promised = manifest.get("counts", {})
    for what, name in (("shots", "shots.parquet"), ("keyframes", "keyframes.parquet")):
        found, wanted = counts.get(name, 0), promised.get(what)
        if found != wanted:
            yield f"{film}: {found} {what}, not {wanted} as its manifest says; {REMEDY}"
    if "shots.parquet" in tables:
        yield from _check_shots(film, tables["shots.parquet"], promised.get("frames"))
    if "keyframes.parquet" in tables:
        yield from _check_keyframes(film, tables)


def _check_shots(film: str, table: pa.Table, frames: int | None) -> Iterator[str]:
    """Check that the shots are in order, have unique ids, and cover each frame once."""
    rows = table.to_pylist()
    if [row["shot"] for row in rows] != list(range(len(rows))):
        yield f"{film}: its shots are not in order; {REMEDY}"
    if len({row["id"] for row in rows}) != len(rows):
        yield f"{film}: two of its shots have one id; {REMEDY}"
    ends = [-1, *(row["last_frame"] for row in rows)]
    firsts = [*(row["first_frame"] for row in rows), frames]
    times = [(a["end_pts"], b["begin_pts"]) for a, b in itertools.pairwise(rows)]
    gaps = any(first != end + 1 for end, first in zip(ends, firsts, strict=True))
    if gaps or any(end != begin for end, begin in times):
        yield f"{film}: its shots leave gaps or overlap; {REMEDY}"
    if any(row["last_frame"] < row["first_frame"] for row in rows):
        yield f"{film}: a shot has no frame; {REMEDY}"


def _check_keyframes(film: str, tables: dict[str, pa.Table]) -> Iterator[str]:
    rows = tables["keyframes.parquet"].to_pylist()
    spans = {
        row["shot"]: (row["begin_pts"], row["end_pts"])
        for row in tables["shots.parquet"].to_pylist()
    }
    order = [(row["shot"], row["keyframe"]) for row in rows]
    if order != sorted(set(order)):
        yield f"{film}: its keyframes are not in order, or not unique; {REMEDY}"
    for row in rows:
        start, end = spans.get(row["shot"], (0, 0))
        if not start <= row["pts"] < end:
            yield f"{row['id']}: the keyframe lies outside its shot; {REMEDY}"


def _check_images(film: str, table: pa.Table, path: Path, decode_images: bool) -> Iterator[str]:
    """Check that every keyframe has a record, and that it is an image of the recorded size."""
    reader = RecordReader(path)
    rows = table.to_pylist()
    if missing := sum(not 0 <= row["record"] < len(reader) for row in rows):
        yield f"{film}: {missing} of its keyframes have no image; {REMEDY}"
        return
    sizes: dict[int, set[tuple[int, int]]] = {}
    for row in rows:
        sizes.setdefault(row["record"], set()).add((row["width"], row["height"]))
    for row in {row["record"]: row for row in rows}.values() if decode_images else ():
        try:
            with Image.open(io.BytesIO(reader[row["record"]]), formats=["JPEG"]) as image:
                image.load()
                size = image.size
        except Exception as error:  # Pillow answers damaged files with almost any exception
            yield f"{row['id']}: its image cannot be decoded ({error}); {REMEDY}"
            continue
        if {size} != sizes[row["record"]]:
            yield f"{row['id']}: its image is of another size than its row says; {REMEDY}"


def find_scene_problems(root: Path, films: set[str]) -> Iterator[str]:
    """Yield one sentence per problem of the scenes.

    Args:
      root: folder of the catalog.
      films: ids of its films.
    """
    for path in sorted((root / scenes.FOLDER).glob("*")):
        if path.name.startswith("."):
            yield f"{path} is in work, or was left by a killed run; delete it"
        elif path.suffix != ".parquet" or path.stem not in films:
            yield f"{path} belongs to no film of the catalog; delete it"
        elif manifest := read_manifest(root, path.stem):  # a damaged manifest is reported elsewhere
            try:
                yield from _check_scenes(root, path.stem, embeddings.hash_source(manifest))
            except (OSError, ValueError) as error:
                yield f"{path.stem}: {error}"


def _check_scenes(root: Path, film: str, source_hash: str) -> Iterator[str]:
    """Check that the scenes cover each shot once, in order."""
    rows = scenes.read_scenes(root, film, source_hash).to_pylist()
    shots = len(read_parquet(layout.part_path(root, "shots.parquet", film)))
    firsts = [*(row["first_shot"] for row in rows), shots]
    ends = [-1, *(row["last_shot"] for row in rows)]
    if any(first != end + 1 for first, end in zip(firsts, ends, strict=True)):
        yield f"{film}: its scenes leave shots out or overlap; {scenes.REMEDY}"


def find_embedding_problems(root: Path, films: set[str]) -> Iterator[str]:
    """Yield one sentence per problem of the embeddings.

    Args:
      root: folder of the catalog.
      films: ids of its films.
    """
    for level in sorted((root / embeddings.FOLDER).glob("*")):
        if level.name not in embeddings.LEVELS:
            yield f"{level} is not a known level of embeddings; delete it"
            continue
        for folder in sorted(level.glob("*")):
            if folder.is_dir() and embeddings.FOLDER_NAME.fullmatch(folder.name):
                yield from _check_folder(root, level.name, folder, films)
            else:
                yield f"{folder} is not a folder of an encoder's embeddings; delete it"


def _check_folder(root: Path, level: str, folder: Path, films: set[str]) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            yield f"{path} is in work, or was left by a killed run; delete it"
        elif path.suffix != ".parquet" or path.stem not in films:
            yield f"{path} belongs to no film of the catalog; delete it"
        else:
            try:
                yield from _check_embeddings(root, level, folder, path)
            except (OSError, ValueError) as error:
                yield f"{path.stem}: {error}"


def _check_embeddings(root: Path, level: str, folder: Path, path: Path) -> Iterator[str]:
    film, again = path.stem, "delete it and run `vujax embed` again"
    manifest = read_manifest(root, film)
    if manifest is None:  # reported already
        return
    store = embeddings.EmbeddingStore(root, level, embeddings.read_model(folder, path))
    source_hash, scene_table = embeddings.hash_source(manifest), None
    if level == "scene":
        scene_table = scenes.read_scenes(root, film, source_hash)
        source_hash = embeddings.hash_scene_source(source_hash, scene_table)
    table = store.read(film, source_hash)
    shots, keyframes = (
        read_parquet(layout.part_path(root, name, film))
        for name in ("shots.parquet", "keyframes.parquet")
    )
    rows = embeddings.build_rows(level, shots, keyframes, scene_table)
    if not table.drop_columns("vector").equals(rows):
        yield f"{path} does not have one row for each {level} of its film, in order; {again}"
    if not np.isfinite(embeddings.to_matrix(table)).all():
        yield f"{path} has values that are not finite; {again}"
