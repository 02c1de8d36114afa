"""The scenes of prepared films, see `vujax.data.scenes`; kind 'prepared'.

    scenes = open_scenes("prepared", path=OUT, by="tags", split="train")
    scenes.labels["place"][0]                   # frozenset({'street'})
    scenes.labels["action"][0]                  # frozenset(): not tagged

Films and tags are those that tools/prepare_movienet.py wrote.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vujax.data.film_features import read_table
from vujax.data.film_scenes import FilmScenes, runs
from vujax.data.movienet_tags import SCHEMA, TAGS
from vujax.data.prepared import open_prepared

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
      split: see `vujax.data.prepared.open_prepared`, as for all below.
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
        return FilmScenes(opened, runs(opened, window if by == "windows" else None))
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
