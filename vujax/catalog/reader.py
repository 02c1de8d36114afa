"""Reading of a catalog: its tables, images, sound and embeddings, and its original film files."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from vujax.catalog import embeddings, items, scenes, schema
from vujax.catalog.ids import Id, compute_fingerprint
from vujax.catalog.parquet import read_parquet
from vujax.catalog.records import RecordReader
from vujax.catalog.writer import read_manifest
from vujax.utils.io import check_local

TABLE_SCHEMAS = {
    "films.parquet": schema.FILMS,
    "shots.parquet": schema.SHOTS,
    "keyframes.parquet": schema.KEYFRAMES,
    "audio.parquet": schema.AUDIO,
}
"""Columns of each table of a film."""

MOVED = "put the file back, or ingest the folder where it is now"


class Catalog:
    """Catalog on disk; picklable, and opens its files on demand.

    Tables are ordered by film, then shot, then keyframe.

    Attributes:
      path: folder of the catalog.
    """

    def __init__(self, path: str | Path) -> None:
        """Check the catalog's version.

        Raises:
          FileNotFoundError: there is no catalog.
          ValueError: it is of another version, or the address of a bucket.
        """
        check_local(path)
        self.path = Path(path)
        schema.check_catalog(self.path)

    def film_ids(self) -> list[str]:
        """Return the ids of all films, including those with errors."""
        return schema.list_films(self.path)

    def films(self, film: str | None = None) -> pa.Table:
        """Return one row per film: columns of `schema.FILMS`, then those of the metadata."""
        return self._table("films.parquet", film)

    def shots(self, film: str | None = None) -> pa.Table:
        """Return one row per shot, of one film or of all: columns of `schema.SHOTS`."""
        return self._table("shots.parquet", film)

    def keyframes(self, film: str | None = None) -> pa.Table:
        """Return one row per keyframe: columns of `schema.KEYFRAMES`; `jpegs` has the images."""
        return self._table("keyframes.parquet", film)

    def audio(self, film: str | None = None) -> pa.Table:
        """Return one row per piece of sound, at most a minute: columns of `schema.AUDIO`."""
        return self._table("audio.parquet", film)

    def jpegs(self, film: str) -> RecordReader:
        """Return a film's images, indexed by the column `record` of its keyframes.

        Raises:
          KeyError: the film is not in the catalog.
          FileNotFoundError, ValueError: the file is missing or damaged.
        """
        return RecordReader(schema.part_path(self.path, "keyframes", self._check_film(film)))

    def jpeg(self, keyframe: str | Id) -> bytes:
        """Return the JPEG file of one keyframe, by its id.

        Raises:
          KeyError: the catalog has no such keyframe.
          FileNotFoundError, ValueError: its file is missing or damaged.
        """
        wanted = Id.parse(keyframe) if isinstance(keyframe, str) else keyframe
        table = self.keyframes(wanted.film)
        rows = dict(zip(table["id"].to_pylist(), table["record"].to_pylist(), strict=True))
        if str(wanted) not in rows:
            raise KeyError(f"{self.path} has no keyframe {wanted}")
        return self.jpegs(wanted.film)[rows[str(wanted)]]

    def flacs(self, film: str) -> RecordReader:
        """Return a film's sound, indexed by `record` of its audio table; raises like `jpegs`."""
        return RecordReader(schema.part_path(self.path, "audio", self._check_film(film)))

    def embeddings(self, level: str, encoder: str, film: str | None = None) -> pa.Table:
        """Return one row per item with an embedding: columns of `embeddings.build_schema`.

        `embeddings.to_matrix` returns the embeddings as one array.

        Args:
          level: 'frame', 'shot' or 'scene'.
          encoder: name of the encoder, or name and hash (`lite-1a2b3c4d`) if the catalog has
            embeddings of several models of this name.
          film: id of the film; None for all films with keyframes, or with scenes for level 'scene'.

        Raises:
          KeyError: the film is not in the catalog.
          FileNotFoundError: a film has no such embeddings, or there are no scenes.
          ValueError: they are damaged, of several models, or of a former version of the film or its
            scenes.
        """
        store = embeddings.open_store(self.path, level, encoder)
        hashes: dict[str, str] = {}
        for film_id in self._select_films(film):
            manifest = self.manifest(film_id)
            if embeddings.has_keyframes(manifest):
                hashes[film_id] = embeddings.hash_source(manifest)
        if level == "scene":
            hashes = self._hash_scene_sources(hashes, require=film is not None)
        tables = [store.read(film_id, hash_) for film_id, hash_ in hashes.items()]
        return pa.concat_tables([store.empty(), *tables])

    def vectors(self, level: str, encoder: str, film: str | None = None) -> pa.Table:
        """Return the result of `embeddings`, under its former name."""
        warnings.warn(
            "Catalog.vectors is deprecated; use Catalog.embeddings",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.embeddings(level, encoder, film)

    def scenes(self, film: str | None = None) -> pa.Table:
        """Return one row per scene, of one film or of all with scenes: columns of `scenes.SCENES`.

        Raises:
          KeyError: the film is not in the catalog.
          FileNotFoundError: it has no scenes yet.
          ValueError: they are damaged, or of a former version of the film.
        """
        tables = [
            scenes.read_scenes(self.path, film_id, embeddings.hash_source(self.manifest(film_id)))
            for film_id in self._select_films(film)
            if film or scenes.scenes_path(self.path, film_id).exists()
        ]
        return pa.concat_tables([scenes.SCENES.empty_table(), *tables])

    def items(self, level: str, film: str | None = None) -> pa.Table:
        """Return one row per item of a level, with its time span: columns of `items.ITEMS`.

        Args:
          level: 'frame', 'shot', 'scene' or 'film'.
          film: id of the film; None for all films, or all with scenes for level 'scene'.

        Raises:
          KeyError: the film is not in the catalog.
          FileNotFoundError: scenes are requested, and the film has none.
          ValueError: the level is unknown, or a table is damaged or of a former version.
        """
        items.check_level(level)
        if level == "film":
            return items.build_film_items(self.films(film))
        read = {"frame": self.keyframes, "shot": self.shots, "scene": self.scenes}
        return items.build_items(level, read[level](film))

    def manifest(self, film: str) -> dict:
        """Return a film's manifest.

        Raises:
          KeyError: the film is not in the catalog.
          ValueError: its manifest is damaged.
        """
        manifest = read_manifest(self.path, self._check_film(film))
        if manifest is None:
            raise ValueError(f"the manifest of {film} is damaged; ingest the film again")
        return manifest

    def _hash_scene_sources(self, hashes: dict[str, str], *, require: bool) -> dict[str, str]:
        """Return the source hashes of scenes, of films with scenes; of all films if `require`."""
        found: dict[str, str] = {}
        for film, source_hash in hashes.items():
            if require or scenes.scenes_path(self.path, film).exists():
                table = scenes.read_scenes(self.path, film, source_hash)
                found[film] = embeddings.hash_scene_source(source_hash, table)
        if hashes and not found:
            raise FileNotFoundError(f"{self.path} has no scenes; run `vujax scenes {self.path}`")
        return found

    def _select_films(self, film: str | None) -> list[str]:
        """Return the ids of one film, or of all for None."""
        return self.film_ids() if film is None else [self._check_film(film)]

    def _check_film(self, film: str) -> str:
        if not Id.parse(film) == Id(film) or not schema.manifest_path(self.path, film).is_file():
            raise KeyError(f"{self.path} has no film {film}")
        return film

    def _table(self, name: str, film: str | None) -> pa.Table:
        paths = [schema.part_path(self.path, name, film_id) for film_id in self._select_films(film)]
        # A film with an error has no shots; only its row among the films must be there.
        present = [path for path in paths if name == "films.parquet" or path.exists()]
        tables = [TABLE_SCHEMAS[name].empty_table(), *map(read_parquet, present)]
        try:
            return pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ValueError(
                f"{self.path / name} holds columns of different types under one name ({error}); "
                "ingest all films again with one metadata file"
            ) from None


def locate_film_file(row: Mapping[str, Any]) -> Path:
    """Return the path of a film's original file.

    Only an ingested file is ever returned: it lies in the ingested folder, without links that lead
    out of it, and its bytes still have the fingerprint in the film's id.

    Args:
      row: row of the film, with `film`, `path` and `folder` of `schema.FILMS`.

    Raises:
      FileNotFoundError: the file is missing, or another file is in its place.
    """
    folder, path = row["folder"] or "", row["path"] or ""
    if not folder or not path:
        raise FileNotFoundError(f"the catalog does not record the path of {row['film']}; {MOVED}")
    try:
        base = Path(folder).resolve(strict=True)
        file = Path(folder, path).resolve(strict=True)
        if not file.is_relative_to(base) or Path(path).is_absolute() or not file.is_file():
            raise FileNotFoundError(f"{path} does not lie in {folder}; {MOVED}")
        changed = compute_fingerprint(file) != row["film"].rpartition("-")[2]
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not error.errno:
            raise
        raise FileNotFoundError(
            f"the file of {row['film']}, {path} in {folder}, is not readable; {MOVED}"
        ) from None
    if changed:
        raise FileNotFoundError(f"{file} is no longer the file that was ingested; ingest it again")
    return file
