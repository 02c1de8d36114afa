"""Films, scenes and movies of a catalog: kind 'catalog' of each (see `vujax.data.registry`)."""

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
from vujax.data.films import Shots, select_films
from vujax.data.images import decode_keyframes, sample_evenly
from vujax.data.movies.records import Movies
from vujax.data.movies.tables import format_title, parse_genres
from vujax.data.scenes import FilmScenes, find_scene_runs
from vujax.data.synthetic.ground_truth import SUFFIX, FilmTruth, read_truth
from vujax.data.tables import NULLS
from vujax.models.image_spec import ImageSpec, Size, parse_image_size

BY = ("scenes", "truth", "windows")


@dataclass(frozen=True, eq=False)
class CatalogFilm(Shots):
    """A film of a catalog. A shot without a keyframe has the inputs of the shot before it.

    Attributes:
      catalog: catalog, whose files are opened on demand.
      records: int64 `[n frames]`, keyframes of each shot; None: no images.
      image_spec: shape of the images; None: images as stored.
      embeddings: float32 `[n d]`; None: no features.
      audio: audio of the shots; None: no audio.
      merged: scenes of the ground truth that start at the same shot as another one.
    """

    catalog: Catalog = None
    records: np.ndarray | None = None
    image_spec: ImageSpec | None = None
    embeddings: np.ndarray | None = None
    audio: ShotAudio | None = None
    merged: int = 0

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """Return the inputs that were selected on opening; see `Film`."""
        result = {}
        if self.records is not None:
            result["image"] = decode_keyframes(
                self.records[shots],
                self._jpegs.__getitem__,
                self.image_spec,
                lambda record: f"keyframe {record} of {self.film}",
            )
        if self.embeddings is not None:
            result["feature"] = self.embeddings[shots]
        if self.audio is not None:
            spectrograms = [
                self.audio.spectrogram(shot, self._flacs) for shot in np.asarray(shots).tolist()
            ]
            result["audio"] = np.stack(spectrograms)
        return result

    @functools.cached_property
    def _jpegs(self) -> RecordReader:
        return self.catalog.jpegs(self.film)

    @functools.cached_property
    def _flacs(self) -> RecordReader | None:
        return self.catalog.flacs(self.film) if len(self.audio.pieces) else None


def open_catalog_films(
    path: str,
    frames: int = 3,
    image_size: Size | None = None,
    encoder: str | None = None,
    images: bool = True,
    audio_s: float | None = None,
    mels: int = 64,
    scenes: str | None = None,
    films: Sequence[str] | None = None,
) -> tuple[CatalogFilm, ...]:
    """Open the films of a catalog that have shots.

    A film whose file is NAME.mp4 or similar is labeled if there is a ground truth: NAME.truth.json
    of a synthetic film, or NAME.json with frame ranges (`vujax.data.datasets.scene_ranges`; several
    annotators by majority within 2 s). Labels are snapped to the catalog's shots, see
    `scene_ranges.snap_to_shots`. Files NAME.json are only searched in the folder `scenes`.

    Args:
      path: catalog.
      frames: images per shot, evenly spaced keyframes; a shot with fewer repeats them.
      image_size: height and width, or one number for both; None: images as stored.
      encoder: encoder whose shot embeddings are the features; None: no features.
      images: whether images are read.
      audio_s: seconds of audio from the center of each shot, padded with silence; None: no audio. A
        film without audio is silent.
      mels: bands of the spectrogram, which has a frame every 10 ms.
      scenes: folder of the ground truths; None: the folder of each film.
      films: only these ids, in this order.

    Raises:
      FileNotFoundError: the catalog or the embeddings do not exist.
      ValueError: a file is damaged, one of `films` is missing, or a film lacks keyframes or audio.
    """
    catalog = Catalog(path)
    known = films is not None and set(films) <= set(catalog.film_ids())
    tables = [catalog.films(film) for film in films] if known else [catalog.films()]
    rows = {row["film"]: row for table in tables for row in table.to_pylist() if row["shots"]}
    options = dict(frames=frames if images else None, image_size=image_size, encoder=encoder)
    options |= dict(audio_s=audio_s, mels=mels)
    chosen = select_films(list(rows), films, path)
    return tuple(_open(catalog, rows[film], scenes, **options) for film in chosen)


def _open(
    catalog: Catalog,
    row: dict[str, Any],
    scenes: str | None,
    *,
    frames: int | None,
    image_size: Size | None,
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
        image_spec=parse_image_size(image_size),
        embeddings=_embeddings(catalog, film, len(shots), encoder) if encoder else None,
        audio=None if audio_s is None else open_shot_audio(catalog, film, seconds, audio_s, mels),
        merged=snapped.merged if snapped else 0,
    )


def _columns(table: pa.Table, *names: str) -> np.ndarray:
    return np.stack([table[name].to_numpy() for name in names], axis=1)


def _rate(row: dict[str, Any]) -> float | None:
    known = row["rate_num"] and row["rate_den"]
    return float(Fraction(row["rate_num"], row["rate_den"])) if known else None


def _labels(film: Path, scenes: str | None, shot_starts: np.ndarray) -> Any:
    folder = film.parent if scenes is None else Path(scenes)
    truth, ranges = folder / f"{film.stem}{SUFFIX}", folder / f"{film.stem}.json"
    if truth.is_file():
        found = read_truth(truth)
        if not isinstance(found, FilmTruth):
            raise ValueError(f"{truth} is the ground truth of a set, not of a film")
        return snap_to_shots(
            np.array([s.first / float(found.fps) for s in found.scenes]), shot_starts
        )
    if scenes is not None and ranges.is_file():
        return snap_to_shots(
            merge_annotators(list(read_scenes(ranges).values()), "majority", 2.0), shot_starts
        )
    return None


def _records(catalog: Catalog, film: str, shots: int, frames: int) -> np.ndarray:
    """Select the keyframes of each shot, int64 [shots frames]."""
    table = catalog.keyframes(film)
    records = [[] for _ in range(shots)]
    for shot, record in zip(table["shot"].to_pylist(), table["record"].to_pylist(), strict=True):
        records[shot].append(record)
    seen = [i for i, found in enumerate(records) if found]
    nearest = _nearest_before(film, np.array(seen, np.int64), shots)
    chosen = [records[seen[i]] for i in nearest]
    return np.array([[own[k] for k in sample_evenly(len(own), frames)] for own in chosen])


def _embeddings(catalog: Catalog, film: str, shots: int, encoder: str) -> np.ndarray:
    table = catalog.embeddings("shot", encoder, film)
    embeddings = to_matrix(table)[_nearest_before(film, table["shot"].to_numpy(), shots)]
    check_features(film, embeddings, shots)
    return embeddings


def _nearest_before(film: str, seen: np.ndarray, shots: int) -> np.ndarray:
    """Return for each shot the index in `seen` of the last shot up to it, or of the first."""
    if not len(seen):
        raise ValueError(f"{film} has no keyframes: ingest it again, or leave it out with films")
    return np.maximum(np.searchsorted(seen, np.arange(shots), side="right") - 1, 0)


def open_catalog_scenes(
    path: str,
    by: str = "scenes",
    window: int = 16,
    frames: int = 3,
    image_size: Size | None = None,
    encoder: str | None = None,
    images: bool = True,
    truths: str | None = None,
    films: Sequence[str] | None = None,
) -> FilmScenes:
    """Open the scenes of the films of a catalog; their keys are the catalog's ids.

    Args:
      path: catalog.
      by: 'scenes', those of `vujax scenes`, where other films are empty movies; 'truth', those of
        the films' labels; 'windows' of `window` shots.
      window: shots of a window.
      frames: images per shot.
      image_size: height and width, or one number for both; None: images as stored.
      encoder: encoder whose shot embeddings are the features; None: no features.
      images: whether images are read.
      truths: folder of the films' labels, see `open_catalog_films`.
      films: only these ids.

    Raises:
      FileNotFoundError: the catalog or the embeddings do not exist.
      ValueError: a file is damaged, or a film has no labels where they are needed.
    """
    if by not in BY:
        raise ValueError(f"unknown by {by!r}; expected one of: {', '.join(BY)}")
    seen = dict(frames=frames, image_size=image_size, encoder=encoder, images=images)
    opened = open_catalog_films(path, scenes=truths, films=films, **seen)
    if by != "scenes":
        return FilmScenes(opened, find_scene_runs(opened, window if by == "windows" else None))
    table = Catalog(path).scenes()
    numbers = {film.film: number for number, film in enumerate(opened)}
    rows = [
        (numbers[r["film"]], r["first_shot"], r["last_shot"] + 1, r["id"].rpartition("/")[2])
        for r in table.select(["film", "first_shot", "last_shot", "id"]).to_pylist()
        if r["film"] in numbers
    ]
    found = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
    if not len(found):
        raise ValueError(f"{path} has no scenes: run `vujax scenes {path}`, or take by='windows'")
    return FilmScenes(opened, found, tuple(row[3] for row in rows))


def open_catalog_movies(path: str | Path) -> Movies:
    """Open the films that have shots as movies, whose ids are the films'.

    Reads these columns of the metadata (`vujax ingest --metadata`) if present: title, year, genres
    (`Comedy|Drama`, or lists) or genre, synopsis or description. The title of a film without one is
    its path.

    Raises:
      FileNotFoundError: the catalog does not exist.
      ValueError: it is damaged, or genres are not separated by |.
    """
    rows = [row for row in Catalog(path).films().to_pylist() if row["shots"]]
    return Movies(
        tuple(row["film"] for row in rows),
        tuple(_title(row) for row in rows),
        tuple(
            parse_genres(_cell(row, ("genres", "genre")), f"{path}, {row['film']}") for row in rows
        ),
        tuple(_text(row, ("synopsis", "description")) for row in rows),
    )


def _title(row: Mapping[str, Any]) -> str:
    return format_title(_text(row, ("title",)) or row["path"], _text(row, ("year",)))


def _cell(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    known = (row.get(name) for name in names)
    return next((cell for cell in known if cell is not None and cell not in NULLS), None)


def _text(row: Mapping[str, Any], names: Sequence[str]) -> str:
    cell = _cell(row, names)
    return "" if cell is None else str(cell).strip()
