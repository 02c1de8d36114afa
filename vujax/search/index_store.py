"""Storage of search indexes in the catalog.

`CATALOG/index/<level>/<encoder>-<hash8>_<space>-<hash8>_<type>/<key>/` holds:

    vectors.bin       n x d values of that type, row by row
    rows.parquet      the items, columns of ROWS
    films.parquet     the catalog's films with their metadata
    index.json        number of rows, and films without embeddings

The key is a hash of the sizes and times of all catalog files that the index is built from, so an
outdated index is not found: it is built again and the old one is removed. Folders are written
atomically. If the catalog is read-only, the index is built in a temporary folder. `index/` may be
deleted at any time.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vujax.catalog import Catalog, embeddings, scenes, schema
from vujax.catalog.embeddings import EmbeddingStore
from vujax.catalog.parquet import read_parquet
from vujax.utils.io import publish, remove_stale_temporaries, temporary_path

if TYPE_CHECKING:
    from vujax.search.text_space import TextSpace

SCHEMA = 1
"""Version of these files; those of another version are built again."""

FOLDER = "index"
DTYPES: dict[str, np.dtype] = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(jnp.bfloat16),
}
ROWS = pa.schema(
    {
        "film": pa.string(),
        "id": pa.string(),
        "shot": pa.int32(),  # first shot of a scene
        "last_shot": pa.int32(),  # inclusive
        "keyframe": pa.int32(),  # null except for frames
        "pts": pa.int64(),
        "seconds": pa.float64(),  # of the frame, or of the start of the shot or scene
        "begin_s": pa.float64(),  # of the shot or scene
        "end_s": pa.float64(),
        "duration": pa.float64(),
    }
)
REMEDY = "delete it; it will be built again"


class StoredIndex(NamedTuple):
    """Contents of a stored index; see `vujax.search.index.Index`."""

    vectors: np.ndarray
    rows: pa.Table
    films: pa.Table
    missing: tuple[str, ...]
    folder: Path | None


def open_stored_index(
    catalog: Catalog,
    store: EmbeddingStore,
    space: "TextSpace",
    dtype: str,
    report: Callable[[int, int], None],
) -> StoredIndex:
    """Read the index of a catalog's embeddings; build it first if necessary.

    Raises:
      FileNotFoundError, ValueError: see `Index.open`.
    """
    if dtype not in DTYPES:
        raise ValueError(f"unknown type {dtype!r}; expected one of: {', '.join(DTYPES)}")
    model, space_name = store.model.folder, f"{space.name}-{space.digest[:8]}"
    place = catalog.path / FOLDER / store.level / f"{model}_{space_name}_{dtype}"
    folder = place / _key(catalog, store, space)
    try:
        return _read(folder, space.dim, dtype)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError):  # damaged
        shutil.rmtree(folder, ignore_errors=True)
    making = temporary_path(folder)
    try:
        making.mkdir(parents=True)
    except OSError:
        with tempfile.TemporaryDirectory() as elsewhere:  # mapped files outlive it
            _write(Path(elsewhere), catalog, store, space, dtype, report)
            return _read(Path(elsewhere), space.dim, dtype)._replace(folder=None)
    try:
        _write(making, catalog, store, space, dtype, report)
        _publish(making, folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return _read(folder, space.dim, dtype)


def _key(catalog: Catalog, store: EmbeddingStore, space: "TextSpace") -> str:
    """Return a hash of everything that the index is built from."""
    facts: list = [SCHEMA, store.model.digest, store.model.dim, space.digest, space.dim]
    for film in catalog.film_ids():
        files = [schema.manifest_path(catalog.path, film), store.path(film)]
        if store.level == "scene":
            files.append(scenes.scenes_path(catalog.path, film))
        facts.append([film, *map(_stamp, files)])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _stamp(path: Path) -> list[int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _read(folder: Path, dim: int, dtype: str) -> StoredIndex:
    """Read an index; raise FileNotFoundError or ValueError unless it is complete."""
    about = json.loads((folder / "index.json").read_text("utf-8"))
    rows, films = (read_parquet(folder / f"{name}.parquet", REMEDY) for name in ("rows", "films"))
    path, count = folder / "vectors.bin", len(rows)
    size = count * dim * DTYPES[dtype].itemsize
    if about["rows"] != count or path.stat().st_size != size or not rows.schema.equals(ROWS):
        raise ValueError(f"{folder} is damaged; {REMEDY}")
    mapped = np.memmap(path, DTYPES[dtype], "r", shape=(count, dim))
    return StoredIndex(mapped, rows, films, tuple(about["missing"]), folder)


def _write(
    folder: Path,
    catalog: Catalog,
    store: EmbeddingStore,
    space: "TextSpace",
    dtype: str,
    report: Callable[[int, int], None],
) -> None:
    films, tables, missing = catalog.film_ids(), [ROWS.empty_table()], []
    with (folder / "vectors.bin").open("wb") as file:
        for done, film in enumerate(films):
            report(done, len(films))
            if not embeddings.has_keyframes(catalog.manifest(film)):
                continue
            try:
                table = catalog.embeddings(store.level, store.model.folder, film)
            except FileNotFoundError:
                missing.append(film)
                continue
            mapped = np.asarray(space.map_embeddings(embeddings.to_matrix(table)), np.float32)
            _check(mapped, len(table), store, space)
            mapped.astype(DTYPES[dtype]).tofile(file)
            tables.append(build_rows(catalog, store.level, film, table))
    report(len(films), len(films))
    rows = pa.concat_tables(tables)
    if not len(rows):
        raise ValueError(
            f"{catalog.path} has no film with {store.level} embeddings of {store.model.name}; run "
            "`vujax embed`"
        )
    pq.write_table(rows, folder / "rows.parquet", compression="zstd")
    pq.write_table(catalog.films(), folder / "films.parquet", compression="zstd")
    (folder / "index.json").write_text(json.dumps({"rows": len(rows), "missing": missing}))


def _check(mapped: np.ndarray, rows: int, store: EmbeddingStore, space: "TextSpace") -> None:
    if mapped.shape != (rows, space.dim) or not np.isfinite(mapped).all():
        raise ValueError(
            f"the text space {space.name} returned {mapped.shape} for {rows} embeddings of "
            f"{store.model.folder}, expected finite [{rows} {space.dim}]; it is not the space of "
            "this encoder"
        )


def build_rows(catalog: Catalog, level: str, film: str, table: pa.Table) -> pa.Table:
    """Build the rows of a film's embeddings, columns of ROWS.

    Args:
      catalog: catalog of the film.
      level: level of the embeddings.
      film: catalog id.
      table: embeddings of the film; see `Catalog.embeddings`.
    """
    keyframes = table["keyframe"] if level == "frame" else pa.nulls(len(table), pa.int32())
    if level == "scene":
        items = catalog.items("scene", film)
        indices = pc.index_in(table["id"], items["id"].combine_chunks())
    else:  # the span of a frame is that of its shot
        items = catalog.items("shot", film)
        indices = pc.index_in(table["shot"], items["first_shot"].combine_chunks())
    names = ("first_shot", "last_shot", "start_s", "end_s")
    first, last, start, end = (items[name].take(indices) for name in names)
    columns = [table["film"], table["id"], first, last, keyframes]
    columns += [table["pts"], table["seconds"], start, end, pc.subtract(end, start)]
    return pa.table(columns, names=ROWS.names).cast(ROWS)


def _publish(making: Path, folder: Path) -> None:
    """Rename the new index into place and remove outdated ones."""
    try:
        publish(making, folder)
    except OSError:  # another process was faster
        return
    remove_stale_temporaries(folder.parent)
    for other in folder.parent.glob("[!.]*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
