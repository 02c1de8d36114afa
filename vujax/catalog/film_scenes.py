"""The scenes of a catalogue's films, see `vujax.data.scenes`; kind 'catalog'."""

from collections.abc import Sequence

import numpy as np

from vujax.catalog.films import open_catalog
from vujax.catalog.read import Catalog
from vujax.data.film_scenes import FilmScenes, runs

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
