"""Films prepared for training, and their scenes: kind 'prepared' of both.

    FOLDER/dataset.json            origin, splits, and the films that are done
    FOLDER/FILM.parquet            a row per shot: film, shot, begin_s, end_s, first_frame,
                                   last_frame (null: unknown), start (null: not labeled)
    FOLDER/FILM.array_record       JPEG files: record 3 s + k is keyframe k of shot s
    FOLDER/FILM.npy                features, float32 [n f]

    scenes = open_scenes("prepared", path=OUT, by="tags", split="train")
    scenes.labels["place"][0]                   # frozenset({'street'})
    scenes.labels["action"][0]                  # frozenset(): not tagged

Each file is written atomically, and a film is complete when dataset.json lists it. Films are
written by `vujax.data.datasets.prepare`, films and tags by tools/prepare_movienet.py.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from grain.sources import ArrayRecordDataSource

from vujax.data.datasets.features import check_features, parse_shot_columns, read_table
from vujax.data.datasets.movienet import SCHEMA, TAGS
from vujax.data.datasets.shot_folders import KEYFRAMES, read_npy
from vujax.data.films import FILM_ID, Shots, select_films
from vujax.data.images import decode_keyframes, sample_evenly
from vujax.data.scenes import FilmScenes, find_scene_runs
from vujax.data.sources.array_record import MANIFEST
from vujax.models.image_spec import ImageSpec, Size, parse_image_size

FORMAT = "vujax films 1 (vujax/data/datasets/prepared.py)"
BY = ("tags", "starts", "windows")


@dataclass(frozen=True, eq=False)
class PreparedFilm(Shots):
    """A film whose keyframes are in an ArrayRecord file.

    Attributes:
      path: ArrayRecord file; None: no images.
      features: npy file, which is memory-mapped; None: no features.
      num_images: images per shot, evenly spaced among its three keyframes.
      image_spec: shape of the images; None: full images.
    """

    path: Path | None = None
    features: Path | None = None
    num_images: int = KEYFRAMES
    image_spec: ImageSpec | None = None

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """Return 'image' uint8 `[k frames h w 3]` and 'feature' float32 `[k f]`, if available."""
        result, shots = {}, np.asarray(shots)
        if self.path:
            chosen = np.array(sample_evenly(KEYFRAMES, self.num_images))
            result["image"] = decode_keyframes(
                shots[:, None] * KEYFRAMES + chosen,
                self._read,
                self.image_spec,
                lambda number: f"keyframe {number} of {self.path}",
            )
        if self.features:
            result["feature"] = np.asarray(self._vectors[shots], np.float32)
        return result

    def _read(self, number: int) -> bytes:
        try:
            return self._records[number]
        except RuntimeError as error:
            raise ValueError(f"{self.path} is damaged ({error}): prepare the film again") from None

    @functools.cached_property
    def _records(self) -> ArrayRecordDataSource:
        return ArrayRecordDataSource([str(self.path)])

    @functools.cached_property
    def _vectors(self) -> np.ndarray:
        vectors = read_npy(self.features)
        check_features(self.film, vectors, len(self))
        return vectors


def open_prepared(
    path: str,
    split: str = "all",
    frames: int = 3,
    image_size: Size | None = None,
    images: bool = True,
    films: Sequence[str] | None = None,
) -> tuple[PreparedFilm, ...]:
    """Open the films of a folder of `tools/prepare_movienet.py`.

    Args:
      path: folder.
      split: one of its splits, or 'all'.
      frames: images per shot, evenly spaced among its keyframes.
      image_size: height and width, or one number for both; None: full images.
      images: whether images are read.
      films: only these of the split, in this order.

    Raises:
      FileNotFoundError: it is not such a folder, or a file is missing.
      ValueError: the folder is incomplete or damaged, or lacks the split.
    """
    facts = read_manifest(Path(path))
    if not facts["complete"]:
        raise ValueError(f"{path} is not completely prepared: run the tool again")
    if split not in (*facts["splits"], "all"):
        known = ", ".join([*facts["splits"], "all"])
        raise ValueError(f"{path} has no split {split!r}: it has {known}")
    available = sorted(facts["films"]) if split == "all" else facts["splits"][split]
    sample_evenly(KEYFRAMES, frames)
    options = dict(num_images=frames, image_spec=parse_image_size(image_size))
    opened = []
    for film in select_films(available, films, f"split {split!r} of {path}"):
        base, facts_of = Path(path) / film, facts["films"][film]
        rows = read_table(base.with_name(f"{film}.parquet"), ("film", "shot"))
        has_images = images and facts_of["pictures"]
        files = dict(
            path=base.with_name(f"{film}.array_record") if has_images else None,
            features=base.with_name(f"{film}.npy") if facts_of["features"] else None,
        )
        opened.append(
            PreparedFilm(**parse_shot_columns(film, rows, facts_of["fps"]), **files, **options)
        )
    return tuple(opened)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read dataset.json.

    Raises:
      FileNotFoundError: it does not exist.
      ValueError: it has another format.
    """
    path = folder / MANIFEST
    try:
        facts = json.loads(path.read_text("utf-8"))
        if facts["format"] != FORMAT or not all(map(FILM_ID.fullmatch, facts["films"])):
            raise ValueError
        return facts
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{folder} has no prepared films: it has no {MANIFEST}") from None
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f"{path} is not of {FORMAT}: prepare the films into a new folder"
        ) from None


def open_prepared_scenes(
    path: str,
    by: str = "tags",
    window: int = 16,
    split: str = "all",
    frames: int = 3,
    image_size: Size | None = None,
    images: bool = True,
    films: Sequence[str] | None = None,
) -> FilmScenes:
    """Open the scenes of the films of a folder.

    Args:
      path: folder.
      by: 'tags', the scenes that MovieNet tagged, with the labels 'place' and 'action', empty where
        a scene is not tagged; 'starts', those of the films' labels; 'windows' of `window` shots.
      window: shots of a window.
      split: see `open_prepared`, as for all below.
      frames: images per shot.
      image_size: height and width, or one number for both; None: full images.
      images: whether images are read.
      films: only these of the split, in this order.

    Raises:
      FileNotFoundError: it is not such a folder, or has no tags.
      ValueError: a file is damaged, or a film has no labels where they are needed.
    """
    if by not in BY:
        raise ValueError(f"unknown by {by!r}; expected one of: {', '.join(BY)}")
    seen = dict(frames=frames, image_size=image_size, images=images)
    opened = open_prepared(path, split=split, films=films, **seen)
    if by != "tags":
        return FilmScenes(opened, find_scene_runs(opened, window if by == "windows" else None))
    file = Path(path) / TAGS
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist: prepare the films with --tags")
    numbers = {film.film: number for number, film in enumerate(opened)}
    rows = [row for row in read_table(file, SCHEMA.names).to_pylist() if row["film"] in numbers]
    rows.sort(key=lambda row: (numbers[row["film"]], row["first_shot"]))
    found = [(numbers[row["film"]], row["first_shot"], row["last_shot"] + 1) for row in rows]
    labels = {
        "place": [frozenset([row["place"]] if row["place"] else ()) for row in rows],
        "action": [frozenset(row["action"] or ()) for row in rows],
    }
    names = tuple(row["scene"] for row in rows)
    return FilmScenes(opened, np.array(found, np.int64).reshape(-1, 3), names, labels)
