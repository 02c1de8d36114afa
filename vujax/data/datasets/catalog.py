"""The films of a catalogue as rows of shots, see `vujax.data.films`; kind 'catalog'.

The scenes of a catalogue's films, see `vujax.data.scenes`; kind 'catalog'.

The films of a catalogue as movies, by what its metadata says of them.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vujax.catalog.audio import ShotAudio, open_shot_audio
from vujax.catalog.embeddings import to_matrix
from vujax.catalog.reader import Catalog
from vujax.catalog.records import RecordReader
from vujax.data.datasets.features import check_features
from vujax.data.datasets.scene_ranges import merge_annotators, read_scenes, snap_to_shots
from vujax.data.films import Shots, choose
from vujax.data.movies.records import Movies
from vujax.data.movies.tables import dated, genres_of
from vujax.data.scenes import FilmScenes, runs
from vujax.data.shot_frames import decode_keyframes, evenly
from vujax.data.synthetic.ground_truth import SUFFIX, FilmTruth, read_truth
from vujax.data.tables import NULLS


@dataclass(frozen=True, eq=False)
class CatalogFilm(Shots):
    """A film of a catalogue. A shot that has no keyframe is seen as the one before it is.

    Attributes:
      catalog: opens its files when they are asked for.
      records: int64 `[n frames]`, pictures of each shot; None: no pictures are wanted.
      image_size: of the pictures, squares from the middle; None: whole, as they are kept.
      vectors: float32 `[n d]`; None: none are wanted.
      sound: where the sound is; None: none is wanted.
      merged: scenes of the truth that begin at one shot with another one.
    """

    catalog: Catalog = None
    records: np.ndarray | None = None
    image_size: int | None = None
    vectors: np.ndarray | None = None
    sound: ShotAudio | None = None
    merged: int = 0

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """What was asked for when it was opened, see `Film`."""
        result = {}
        if self.records is not None:
            result["image"] = decode_keyframes(
                self.records[shots],
                self._jpegs.__getitem__,
                self.image_size,
                lambda record: f"picture {record} of {self.film}",
            )
        if self.vectors is not None:
            result["feature"] = self.vectors[shots]
        if self.sound is not None:
            heard = [
                self.sound.spectrogram(shot, self._flacs) for shot in np.asarray(shots).tolist()
            ]
            result["audio"] = np.stack(heard)
        return result

    @functools.cached_property
    def _jpegs(self) -> RecordReader:
        return self.catalog.jpegs(self.film)

    @functools.cached_property
    def _flacs(self) -> RecordReader | None:
        return self.catalog.flacs(self.film) if len(self.sound.pieces) else None


def open_catalog(
    path: str,
    frames: int = 3,
    image_size: int | None = None,
    encoder: str | None = None,
    images: bool = True,
    audio_s: float | None = None,
    mels: int = 64,
    scenes: str | None = None,
    films: Sequence[str] | None = None,
) -> tuple[CatalogFilm, ...]:
    """The films of a catalogue that have shots.

    They are labelled where a truth is found: NAME.truth.json of the cinema, or NAME.json with frame
    ranges (`vujax.data.datasets.scene_ranges`; several annotators by majority within 2 s), for a
    film whose file is NAME.mp4 or the like; snapped to the catalogue's shots as `scene_ranges.snap`
    does. The latter are only looked for where `scenes` says.

    Args:
      path: of the catalogue.
      frames: pictures of each shot: of its keyframes, evenly; a shot with fewer repeats them.
      image_size: side of the square that is cut from their middle; None: as they are kept.
      encoder: whose vectors of the shots are the features; None: no features.
      images: whether pictures are wanted.
      audio_s: seconds of sound from the middle of each shot, silence around a shorter one; None: no
        sound. A film without sound is silent.
      mels: bands of its spectrogram, a frame every 10 ms.
      scenes: folder of the truths; None: beside the films, where they were read.
      films: ids, only these, in this order.

    Raises:
      FileNotFoundError: there is no catalogue, or no such vectors.
      ValueError: a part of it is damaged, one of `films` is not there, or has no keyframes or
        sound where these are wanted.
    """
    catalog = Catalog(path)
    known = films is not None and set(films) <= set(catalog.film_ids())
    tables = [catalog.films(film) for film in films] if known else [catalog.films()]
    rows = {row["film"]: row for table in tables for row in table.to_pylist() if row["shots"]}
    options = dict(frames=frames if images else None, image_size=image_size, encoder=encoder)
    options |= dict(audio_s=audio_s, mels=mels)
    return tuple(
        _open(catalog, rows[film], scenes, **options) for film in choose(list(rows), films, path)
    )


def _open(
    catalog: Catalog,
    row: dict[str, Any],
    scenes: str | None,
    *,
    frames: int | None,
    image_size: int | None,
    encoder: str | None,
    audio_s: float | None,
    mels: int,
) -> CatalogFilm:
    film = row["film"]
    shots = catalog.shots(film)
    seconds = _columns(shots, "begin_s", "end_s")
    snapped = _labels(Path(row["folder"] or "") / row["path"], scenes, seconds[:, 0])
    return CatalogFilm(
        film,
        seconds,
        _columns(shots, "first_frame", "last_frame"),
        _rate(row),
        snapped and snapped.starts,
        catalog=catalog,
        records=None if frames is None else _records(catalog, film, len(shots), frames),
        image_size=image_size,
        vectors=_vectors(catalog, film, len(shots), encoder) if encoder else None,
        sound=None if audio_s is None else open_shot_audio(catalog, film, seconds, audio_s, mels),
        merged=snapped.merged if snapped else 0,
    )


def _columns(table: pa.Table, *names: str) -> np.ndarray:
    return np.stack([table[name].to_numpy() for name in names], axis=1)


def _rate(row: dict[str, Any]) -> float | None:
    known = row["rate_num"] and row["rate_den"]
    return float(Fraction(row["rate_num"], row["rate_den"])) if known else None


def _labels(film: Path, scenes: str | None, shot_begins: np.ndarray) -> Any:
    folder = film.parent if scenes is None else Path(scenes)
    truth, ranges = folder / f"{film.stem}{SUFFIX}", folder / f"{film.stem}.json"
    if truth.is_file():
        found = read_truth(truth)
        if not isinstance(found, FilmTruth):
            raise ValueError(f"{truth} is the truth of a set, not of a film")
        return snap_to_shots(
            np.array([s.first / float(found.fps) for s in found.scenes]), shot_begins
        )
    if scenes is not None and ranges.is_file():
        return snap_to_shots(
            merge_annotators(list(read_scenes(ranges).values()), "majority", 2.0), shot_begins
        )
    return None


def _records(catalog: Catalog, film: str, shots: int, frames: int) -> np.ndarray:
    """int64 [shots frames]: the keyframes that stand for each shot."""
    table = catalog.keyframes(film)
    records = [[] for _ in range(shots)]
    for shot, record in zip(table["shot"].to_pylist(), table["record"].to_pylist(), strict=True):
        records[shot].append(record)
    seen = [i for i, found in enumerate(records) if found]
    places = _of_neighbours(film, np.array(seen, np.int64), shots)
    chosen = [records[seen[place]] for place in places]
    return np.array([[one[k] for k in evenly(len(one), frames)] for one in chosen])


def _vectors(catalog: Catalog, film: str, shots: int, encoder: str) -> np.ndarray:
    table = catalog.embeddings("shot", encoder, film)
    found = to_matrix(table)
    vectors = found[_of_neighbours(film, table["shot"].to_numpy(), shots)]
    check_features(film, vectors, shots)
    return vectors


def _of_neighbours(film: str, seen: np.ndarray, shots: int) -> np.ndarray:
    """For each shot the place in `seen` of the last one up to it, or of the first one."""
    if not len(seen):
        raise ValueError(f"{film} has no keyframes: ingest it again, or leave it out with films")
    return np.maximum(np.searchsorted(seen, np.arange(shots), side="right") - 1, 0)


BY = ("scenes", "truth", "windows")


def open_catalog_scenes(
    path: str,
    by: str = "scenes",
    window: int = 16,
    frames: int = 3,
    image_size: int | None = None,
    encoder: str | None = None,
    images: bool = True,
    truths: str | None = None,
    films: Sequence[str] | None = None,
) -> FilmScenes:
    """Scenes of the films of a catalogue that have shots; their keys are the catalogue's ids.

    Args:
      path: of the catalogue.
      by: 'scenes', those that `vujax scenes` found, films for which it has not run are bare;
        'truth', where the films' labels say that scenes begin; 'windows' of `window` shots.
      window: shots of a window.
      frames: pictures of each shot.
      image_size: side of the square that is cut from their middle; None: as they are kept.
      encoder: whose vectors of the shots are the features; None: no features.
      images: whether pictures are wanted.
      truths: folder of the films' labels, see `open_catalog`.
      films: ids, only these.

    Raises:
      FileNotFoundError: there is no catalogue, or no such vectors.
      ValueError: a part of it is damaged, or a film has no labels where they are needed.
    """
    if by not in BY:
        raise ValueError(f"by is {by!r}: use one of {', '.join(BY)}")
    seen = dict(frames=frames, image_size=image_size, encoder=encoder, images=images)
    opened = open_catalog(path, scenes=truths, films=films, **seen)
    if by != "scenes":
        return FilmScenes(opened, runs(opened, window if by == "windows" else None))
    table = Catalog(path).scenes()
    numbers = {film.film: number for number, film in enumerate(opened)}
    rows = [
        (numbers[film], first, last + 1, key.rpartition("/")[2])
        for film, first, last, key in zip(
            *(table[name].to_pylist() for name in ("film", "first_shot", "last_shot", "id")),
            strict=True,
        )
        if film in numbers
    ]
    found = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
    if not len(found):
        raise ValueError(f"{path} has no scenes: run `vujax scenes {path}`, or take by='windows'")
    return FilmScenes(opened, found, tuple(row[3] for row in rows))


def catalog_movies(path: str | Path) -> Movies:
    """The films that have shots; ids are the films'.

    Columns of the metadata (`vujax ingest --metadata`) that are read, where there are such: title,
    year, genres (`Comedy|Drama`, or lists) or genre, synopsis or description. A film without a
    title goes by its path.

    Raises:
      FileNotFoundError: there is no catalogue.
      ValueError: it is damaged, or genres are separated by something else than |.
    """
    rows = [row for row in Catalog(path).films().to_pylist() if row["shots"]]
    return Movies(
        tuple(row["film"] for row in rows),
        tuple(dated(_text(row, "title") or row["path"], _text(row, "year")) for row in rows),
        tuple(genres_of(_cell(row, "genres", "genre"), f"{path}, {row['film']}") for row in rows),
        tuple(_text(row, "synopsis", "description") for row in rows),
    )


def _cell(row: Mapping[str, Any], *names: str) -> Any:
    known = (row.get(name) for name in names)
    return next((cell for cell in known if cell is not None and cell not in NULLS), None)


def _text(row: Mapping[str, Any], *names: str) -> str:
    cell = _cell(row, *names)
    return "" if cell is None else str(cell).strip()
