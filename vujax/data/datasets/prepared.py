"""Films prepared for training: kind 'prepared' of `open_films`; `prepare` writes them.

    FOLDER/dataset.json            what it was made from, its splits, and which films are done
    FOLDER/FILM.parquet            a row a shot: film, shot, begin_s, end_s, first_frame, last_frame
                                   (null: not known), start (null: not labelled)
    FOLDER/FILM.array_record       JPEG files: record 3 s + k is picture k of shot s
    FOLDER/FILM.npy                features, float32 [n f]

Each file appears whole or not at all, and a film is there when dataset.json says so.

The scenes of prepared films, see `vujax.data.scenes`; kind 'prepared'.

    scenes = open_scenes("prepared", path=OUT, by="tags", split="train")
    scenes.labels["place"][0]                   # frozenset({'street'})
    scenes.labels["action"][0]                  # frozenset(): not tagged

Films and tags are those that tools/prepare_movienet.py wrote.
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
from vujax.data.scenes import FilmScenes, find_scene_runs
from vujax.data.shot_frames import decode_keyframes, sample_evenly
from vujax.data.sources.array_record import MANIFEST

FORMAT = "vujax films 1 (vujax/data/datasets/prepared.py)"


@dataclass(frozen=True, eq=False)
class PreparedFilm(Shots):
    """A film whose pictures are in an ArrayRecord file.

    Attributes:
      path: of that file; None: no pictures are wanted, or there are none.
      features: of the npy file, which is mapped, not read; None: there is none.
      picture_count: how many are wanted for each shot, of its three, evenly.
      image_size: of the square from their middle; None: whole.
    """

    path: Path | None = None
    features: Path | None = None
    picture_count: int = KEYFRAMES
    image_size: int | None = None

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """'image' uint8 `[k frames h w 3]` and 'feature' float32 `[k f]`, what there is."""
        result, shots = {}, np.asarray(shots)
        if self.path:
            chosen = np.array(sample_evenly(KEYFRAMES, self.picture_count))
            result["image"] = decode_keyframes(
                shots[:, None] * KEYFRAMES + chosen,
                self._read,
                self.image_size,
                lambda number: f"picture {number} of {self.path}",
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
    image_size: int | None = None,
    images: bool = True,
    films: Sequence[str] | None = None,
) -> tuple[PreparedFilm, ...]:
    """Films of a folder that `tools/prepare_movienet.py` made.

    Args:
      path: the folder.
      split: one of its splits, or 'all'.
      frames: pictures for each shot, of those that it has, evenly.
      image_size: of the square from their middle; None: whole.
      images: whether pictures are wanted.
      films: only these of the split, in this order.

    Raises:
      FileNotFoundError: it is no such folder, or a file is gone.
      ValueError: it was not finished, has no such split, or is damaged.
    """
    facts = read_manifest(Path(path))
    if not facts["complete"]:
        raise ValueError(f"{path} was not prepared to the end: run the tool again")
    if split not in (*facts["splits"], "all"):
        known = ", ".join([*facts["splits"], "all"])
        raise ValueError(f"{path} has no split {split!r}: it has {known}")
    there = sorted(facts["films"]) if split == "all" else facts["splits"][split]
    sample_evenly(KEYFRAMES, frames)
    options = dict(picture_count=frames, image_size=image_size)
    result = []
    for film in select_films(there, films, f"split {split!r} of {path}"):
        base, facts_of = Path(path) / film, facts["films"][film]
        rows = read_table(base.with_name(f"{film}.parquet"), ("film", "shot"))
        wanted = images and facts_of["pictures"]
        files = dict(
            path=base.with_name(f"{film}.array_record") if wanted else None,
            features=base.with_name(f"{film}.npy") if facts_of["features"] else None,
        )
        result.append(
            PreparedFilm(**parse_shot_columns(film, rows, facts_of["fps"]), **files, **options)
        )
    return tuple(result)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The contents of dataset.json.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is of something else.
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


BY = ("tags", "starts", "windows")


def open_prepared_scenes(
    path: str,
    by: str = "tags",
    window: int = 16,
    split: str = "all",
    frames: int = 3,
    image_size: int | None = None,
    images: bool = True,
    films: Sequence[str] | None = None,
) -> FilmScenes:
    """Scenes of the films of a folder.

    Args:
      path: the folder.
      by: 'tags', those that MovieNet tagged, with the labels 'place' and 'action', empty where a
        scene is not tagged; 'starts', where the films' labels say that scenes begin; 'windows' of
        `window` shots.
      window: shots of a window.
      split: see `vujax.data.datasets.prepared.open_prepared`, as for all below.
      frames: likewise.
      image_size: likewise.
      images: likewise.
      films: likewise.

    Raises:
      FileNotFoundError: it is no such folder, or has no tags.
      ValueError: a file is damaged, or a film has no labels where they are needed.
    """
    if by not in BY:
        raise ValueError(f"by is {by!r}: use one of {', '.join(BY)}")
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
