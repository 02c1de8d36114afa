"""The films of a catalogue as rows of shots, see `vujax.data.films`; kind 'catalog'."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vujax.catalog.read import Catalog
from vujax.catalog.records import RecordReader
from vujax.catalog.sound import ShotSound, shot_sound
from vujax.catalog.vectors import matrix
from vujax.data.cinema.truth import SUFFIX, FilmTruth, read_truth
from vujax.data.film_features import check_vectors
from vujax.data.films import Shots, choose
from vujax.data.scene_ranges import merge, read_scenes, snap
from vujax.data.shot_pictures import evenly, pictures


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
    sound: ShotSound | None = None
    merged: int = 0

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """What was asked for when it was opened, see `Film`."""
        result = {}
        if self.records is not None:
            result["image"] = pictures(
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
    ranges (`vujax.data.scene_ranges`; several annotators by majority within 2 s), for a film whose
    file is NAME.mp4 or the like; snapped to the catalogue's shots as `scene_ranges.snap` does. The
    latter are only looked for where `scenes` says.

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
    known = films is not None and set(films) <= set(catalog.ids())
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
        sound=None if audio_s is None else shot_sound(catalog, film, seconds, audio_s, mels),
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
        return snap(np.array([s.first / float(found.fps) for s in found.scenes]), shot_begins)
    if scenes is not None and ranges.is_file():
        return snap(merge(list(read_scenes(ranges).values()), "majority", 2.0), shot_begins)
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
    table = catalog.vectors("shot", encoder, film)
    found = matrix(table)
    vectors = found[_of_neighbours(film, table["shot"].to_numpy(), shots)]
    check_vectors(film, vectors, shots)
    return vectors


def _of_neighbours(film: str, seen: np.ndarray, shots: int) -> np.ndarray:
    """For each shot the place in `seen` of the last one up to it, or of the first one."""
    if not len(seen):
        raise ValueError(f"{film} has no keyframes: ingest it again, or leave it out with films")
    return np.maximum(np.searchsorted(seen, np.arange(shots), side="right") - 1, 0)
