"""Reading a catalogue.

The film files that a catalogue was made from, where they still are what they were.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from vujax.catalog import embeddings, scenes, schema
from vujax.catalog.ids import Id, compute_fingerprint
from vujax.catalog.parquet import read_parquet
from vujax.catalog.records import RecordReader
from vujax.catalog.writer import read_manifest

TABLE_SCHEMAS = {
    "films.parquet": schema.FILMS,
    "shots.parquet": schema.SHOTS,
    "keyframes.parquet": schema.KEYFRAMES,
    "audio.parquet": schema.AUDIO,
}


class Catalog:
    """A catalogue on disk; picklable, and opens its files when they are asked for.

    Tables are in order of film, then of shot, then of keyframe.
    """

    def __init__(self, path: str | Path) -> None:
        """Finds the catalogue.

        Raises:
          FileNotFoundError: there is none.
          ValueError: it is of another version.
        """
        self.path = Path(path)
        schema.check_catalog(self.path)

    def film_ids(self) -> list[str]:
        """The ids of all films, those with errors too."""
        return schema.list_films(self.path)

    def films(self, film: str | None = None) -> pa.Table:
        """One row a film: columns of `layout.FILMS`, then those of the metadata."""
        return self._table("films.parquet", film)

    def shots(self, film: str | None = None) -> pa.Table:
        """One row a shot, of one film or of all: columns of `layout.SHOTS`."""
        return self._table("shots.parquet", film)

    def keyframes(self, film: str | None = None) -> pa.Table:
        """One row a keyframe: columns of `layout.KEYFRAMES`; `jpegs` has the pictures."""
        return self._table("keyframes.parquet", film)

    def audio(self, film: str | None = None) -> pa.Table:
        """One row a piece of sound, at most a minute of a shot: columns of `layout.AUDIO`."""
        return self._table("audio.parquet", film)

    def jpegs(self, film: str) -> RecordReader:
        """A film's pictures, by the column `record` of its keyframes.

        Raises:
          KeyError: the film is not in the catalogue.
          FileNotFoundError, ValueError: the file is missing or damaged.
        """
        return RecordReader(schema.part_path(self.path, "keyframes", self._one(film)))

    def jpeg(self, keyframe: str | Id) -> bytes:
        """The picture of one keyframe, by its id.

        Raises:
          KeyError: there is no such keyframe.
          FileNotFoundError, ValueError: its file is missing or damaged.
        """
        wanted = Id.parse(keyframe) if isinstance(keyframe, str) else keyframe
        table = self.keyframes(wanted.film)
        rows = dict(zip(table["id"].to_pylist(), table["record"].to_pylist(), strict=True))
        if str(wanted) not in rows:
            raise KeyError(f"{self.path} has no keyframe {wanted}")
        return self.jpegs(wanted.film)[rows[str(wanted)]]

    def flacs(self, film: str) -> RecordReader:
        """A film's sound, by the column `record` of its audio table; raises like `jpegs`."""
        return RecordReader(schema.part_path(self.path, "audio", self._one(film)))

    def embeddings(self, level: str, encoder: str, film: str | None = None) -> pa.Table:
        """One row a keyframe, or a shot or scene that has any: columns of `vectors.schema`.

        `vectors.matrix` gives their numbers as one array.

        Args:
          level: 'frame', 'shot' or 'scene'.
          encoder: its name, or name and hash (`lite-1a2b3c4d`) where the catalogue has vectors of
            several models of one name.
          film: its id; None: all films that have keyframes, and of scenes all that have scenes.

        Raises:
          KeyError: the film is not in the catalogue.
          FileNotFoundError: a film has no such vectors, or there are no scenes.
          ValueError: they are damaged, of several models, or of what the film or its scenes were
            before.
        """
        shelf = embeddings.open_store(self.path, level, encoder)
        films = self.film_ids() if film is None else [self._one(film)]
        manifests = {one: self.manifest(one) for one in films}
        sources = {
            one: embeddings.hash_source(m)
            for one, m in manifests.items()
            if embeddings.has_keyframes(m)
        }
        if level == "scene":
            sources = self._of_scenes(sources, all_of_them=film is not None)
        tables = [shelf.read(one, source) for one, source in sources.items()]
        return pa.concat_tables([shelf.empty(), *tables])

    def vectors(self, level: str, encoder: str, film: str | None = None) -> pa.Table:
        """Return the result of `embeddings`, under its former name."""
        warnings.warn(
            "Catalog.vectors is deprecated; use Catalog.embeddings",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.embeddings(level, encoder, film)

    def _of_scenes(self, sources: dict[str, str], *, all_of_them: bool) -> dict[str, str]:
        """What vectors of scenes are made from, for films that have scenes."""
        found = {
            one: embeddings.hash_scene_source(source, scenes.read_scenes(self.path, one, source))
            for one, source in sources.items()
            if all_of_them or scenes.scenes_path(self.path, one).exists()
        }
        if sources and not found:
            raise FileNotFoundError(f"{self.path} has no scenes: run `vujax scenes {self.path}`")
        return found

    def scenes(self, film: str | None = None) -> pa.Table:
        """One row a scene, of one film or of all that have any: columns of `scenes.COLUMNS`.

        Raises:
          KeyError: the film is not in the catalogue.
          FileNotFoundError: it has no scenes yet.
          ValueError: they are damaged, or of what the film was before.
        """
        films = self.film_ids() if film is None else [self._one(film)]
        there = [one for one in films if film or scenes.scenes_path(self.path, one).exists()]
        sources = {one: embeddings.hash_source(self.manifest(one)) for one in there}
        tables = [scenes.read_scenes(self.path, one, source) for one, source in sources.items()]
        return pa.concat_tables([scenes.SCENES.empty_table(), *tables])

    def manifest(self, film: str) -> dict:
        """A film's manifest.

        Raises:
          KeyError: the film is not in the catalogue.
          ValueError: its manifest is damaged.
        """
        found = read_manifest(self.path, self._one(film))
        if found is None:
            raise ValueError(f"the manifest of {film} is damaged: ingest the film again")
        return found

    def _one(self, film: str) -> str:
        if not Id.parse(film) == Id(film) or not schema.manifest_path(self.path, film).is_file():
            raise KeyError(f"{self.path} has no film {film}")
        return film

    def _table(self, name: str, film: str | None) -> pa.Table:
        films: Sequence[str] = self.film_ids() if film is None else [self._one(film)]
        paths = [schema.part_path(self.path, name, one) for one in films]
        # A film with an error has no shots; only its row among the films must be there.
        there = [path for path in paths if name == "films.parquet" or path.exists()]
        tables = [TABLE_SCHEMAS[name].empty_table(), *map(read_parquet, there)]
        try:
            return pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ValueError(
                f"{self.path / name} holds columns of different types under one name ({error}): "
                "ingest all films again with one metadata file"
            ) from None


MOVED = "put the file back, or ingest the folder where it is now"


def locate_film_file(row: Mapping[str, Any]) -> Path:
    """The file of a film.

    Nothing but what was ingested is ever named: the file lies in the folder that was read, without
    links that lead out of it, and its bytes still have the fingerprint in the film's id.

    Args:
      row: of the film, with `film`, `path` and `folder` of `layout.FILMS`.

    Raises:
      FileNotFoundError: it is not there, or another file is in its place.
    """
    folder, path = row["folder"] or "", row["path"] or ""
    if not folder or not path:
        raise FileNotFoundError(f"the catalogue does not say where {row['film']} was: {MOVED}")
    try:
        base = Path(folder).resolve(strict=True)
        file = Path(folder, path).resolve(strict=True)
        if not file.is_relative_to(base) or Path(path).is_absolute() or not file.is_file():
            raise FileNotFoundError(f"{path} does not lie in {folder}: {MOVED}")
        changed = compute_fingerprint(file) != row["film"].rpartition("-")[2]
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not error.errno:
            raise
        raise FileNotFoundError(
            f"the file of {row['film']}, {path} in {folder}, cannot be read: {MOVED}"
        ) from None
    if changed:
        raise FileNotFoundError(f"{file} is no longer the file that was ingested: ingest it again")
    return file
