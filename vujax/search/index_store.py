"""Where an index is kept: `CATALOG/index/<level>/<encoder>-<hash8>_<space>-<hash8>_<type>/<key>/`.

    vectors.bin       n x d numbers of that type, one vector after the other
    rows.parquet      what each is, columns of ROWS
    films.parquet     the catalogue's films with their metadata
    index.json        counts, and films that have no vectors

The key is a hash of the sizes and times of all files of the catalogue that the index is made from,
so an index that is older than its catalogue is not found: it is made anew, and the old one goes.
A folder appears whole or not at all. Where the catalogue cannot be written to, the index is made in
a temporary folder and is gone afterwards. To delete `index/` loses nothing but time.
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
"""Version of these files; those of another one are made anew."""

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
        "shot": pa.int32(),  # the first one, of a scene
        "last_shot": pa.int32(),  # still in it
        "keyframe": pa.int32(),  # null but for frames
        "pts": pa.int64(),
        "seconds": pa.float64(),  # of the frame, or of the begin of the shot or scene
        "begin_s": pa.float64(),  # of the shot or scene
        "end_s": pa.float64(),
        "duration": pa.float64(),
    }
)
AGAIN = "delete it: it will be made anew"


class Kept(NamedTuple):
    """The parts of an index, see `vujax.search.index.Index`."""

    vectors: np.ndarray
    rows: pa.Table
    films: pa.Table
    missing: tuple[str, ...]
    folder: Path | None


def open_kept(
    catalog: Catalog,
    shelf: EmbeddingStore,
    space: "TextSpace",
    dtype: str,
    report: Callable[[int, int], None],
) -> Kept:
    """Reads the index of a catalogue's vectors, which is made first if need be.

    Raises:
      FileNotFoundError, ValueError: see `Index.open`.
    """
    if dtype not in DTYPES:
        raise ValueError(f"vectors are kept as {', '.join(DTYPES)}, not as {dtype!r}")
    model, space_name = shelf.model.folder, f"{space.name}-{space.digest[:8]}"
    place = catalog.path / FOLDER / shelf.level / f"{model}_{space_name}_{dtype}"
    folder = place / _key(catalog, shelf, space)
    try:
        return _read(folder, space.dim, dtype)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError):  # it is damaged
        shutil.rmtree(folder, ignore_errors=True)
    making = temporary_path(folder)
    try:
        making.mkdir(parents=True)
    except OSError:
        with tempfile.TemporaryDirectory() as elsewhere:  # what is mapped from it stays
            _write(Path(elsewhere), catalog, shelf, space, dtype, report)
            return _read(Path(elsewhere), space.dim, dtype)._replace(folder=None)
    try:
        _write(making, catalog, shelf, space, dtype, report)
        _publish(making, folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return _read(folder, space.dim, dtype)


def _key(catalog: Catalog, shelf: EmbeddingStore, space: "TextSpace") -> str:
    """Changes with whatever the index is made from."""
    facts: list = [SCHEMA, shelf.model.digest, shelf.model.dim, space.digest, space.dim]
    for film in catalog.film_ids():
        files = [schema.manifest_path(catalog.path, film), shelf.path(film)]
        if shelf.level == "scene":
            files.append(scenes.scenes_path(catalog.path, film))
        facts.append([film, *map(_stamp, files)])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _stamp(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _read(folder: Path, dim: int, dtype: str) -> Kept:
    """Raises FileNotFoundError or ValueError unless all of it is there."""
    about = json.loads((folder / "index.json").read_text("utf-8"))
    rows, films = (read_parquet(folder / f"{name}.parquet", AGAIN) for name in ("rows", "films"))
    path, count = folder / "vectors.bin", len(rows)
    size = count * dim * DTYPES[dtype].itemsize
    if about["rows"] != count or path.stat().st_size != size or not rows.schema.equals(ROWS):
        raise ValueError(f"{folder} is damaged: {AGAIN}")
    mapped = np.memmap(path, DTYPES[dtype], "r", shape=(count, dim))
    return Kept(mapped, rows, films, tuple(about["missing"]), folder)


def _write(
    folder: Path,
    catalog: Catalog,
    shelf: EmbeddingStore,
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
                found = catalog.embeddings(shelf.level, shelf.model.folder, film)
            except FileNotFoundError:
                missing.append(film)
                continue
            mapped = np.asarray(space.images(embeddings.to_matrix(found)), np.float32)
            _check(mapped, len(found), shelf, space)
            mapped.astype(DTYPES[dtype]).tofile(file)
            tables.append(rows_of(catalog, shelf.level, film, found))
    report(len(films), len(films))
    rows = pa.concat_tables(tables)
    if not len(rows):
        raise ValueError(
            f"{catalog.path} has no film with {shelf.level} vectors of {shelf.model.name}: run "
            "`vujax embed`"
        )
    pq.write_table(rows, folder / "rows.parquet", compression="zstd")
    pq.write_table(catalog.films(), folder / "films.parquet", compression="zstd")
    (folder / "index.json").write_text(json.dumps({"rows": len(rows), "missing": missing}))


def _check(mapped: np.ndarray, rows: int, shelf: EmbeddingStore, space: "TextSpace") -> None:
    if mapped.shape != (rows, space.dim) or not np.isfinite(mapped).all():
        raise ValueError(
            f"the space {space.name} gave {mapped.shape} for {rows} vectors of "
            f"{shelf.model.folder}, not finite ones of {space.dim} numbers: it is not the space of "
            "this encoder"
        )


def rows_of(catalog: Catalog, level: str, film: str, found: pa.Table) -> pa.Table:
    """What each vector of a film is, columns of ROWS.

    Args:
      catalog: that the film is in.
      level: of the vectors.
      film: its id.
      found: the film's vectors, see `Catalog.vectors`.
    """
    spans, key = catalog.shots(film), "shot"
    firsts, lasts = spans["shot"], spans["shot"]
    keyframes = found["keyframe"] if level == "frame" else pa.nulls(len(found), pa.int32())
    if level == "scene":
        spans, key = catalog.scenes(film), "id"
        firsts, lasts = spans["first_shot"], spans["last_shot"]
    at = pc.index_in(found[key], spans[key].combine_chunks())
    begin, end = spans["begin_s"].take(at), spans["end_s"].take(at)
    columns = [found["film"], found["id"], firsts.take(at), lasts.take(at), keyframes]
    columns += [found["pts"], found["seconds"], begin, end, pc.subtract(end, begin)]
    return pa.table(columns, names=ROWS.names).cast(ROWS)


def _publish(making: Path, folder: Path) -> None:
    """Renames the new index into place and removes those of what the catalogue was before."""
    try:
        publish(making, folder)
    except OSError:  # another process made the same, and was quicker
        return
    remove_stale_temporaries(folder.parent)
    for other in folder.parent.glob("[!.]*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
