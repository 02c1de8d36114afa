"""Scenes and movies of synthetic films, with labels from their ground truth.

scenes = open_synthetic_scenes(films=40, image_size=48)     # see `vujax.data.scenes`
scenes.labels["event"][0]                   # frozenset({'juggling', 'flag'})
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from vujax.data.datasets.features import FeatureFilm, read_npz
from vujax.data.movies.records import Movies, Ratings
from vujax.data.scenes import FilmScenes, find_scene_runs, number_scenes
from vujax.data.synthetic.dataset_shots import SyntheticFilm, open_synthetic_films
from vujax.data.synthetic.editing import Part, parse_frame_rate
from vujax.data.synthetic.films import build_set_truth
from vujax.data.synthetic.ground_truth import Settings, SetTruth, read_truth
from vujax.data.synthetic.world import THEME_BY_PLACE

SCENE_LABELS: dict[str, Callable[[Part], Iterable[str | None]]] = {
    "event": lambda part: [role.event for role in part.scene.roles],
    "cast": lambda part: [role.character.kind for role in part.scene.roles],
    "place": lambda part: [part.scene.place],
    "theme": lambda part: [THEME_BY_PLACE[part.scene.place]],
    "time": lambda part: [part.scene.time],
    "weather": lambda part: [part.scene.weather],
}

"""Labels of a scene by its truth, besides its film's 'genre'."""


def open_synthetic_scenes(
    seed: int = 0,
    split: str = "train",
    films: int = 40,
    first: int = 0,
    minutes: float = 3.0,
    fps: int | str = 24,
    image_size: int | tuple[int, int] = 48,
    frames: int = 3,
    keep: bool = True,
    features: str | None = None,
    key: str = "feature",
    cards: bool = False,
) -> FilmScenes:
    """Open the scenes of some films; labels are 'genre' and those of SCENE_LABELS.

    Args:
      seed: see `vujax.data.synthetic.dataset_shots.open_synthetic_films`, as for all up to `keep`.
      split: likewise; 'theme' has a meaning in themed films, see `vujax.data.synthetic.world`.
      films: likewise.
      first: likewise.
      minutes: likewise.
      fps: likewise.
      image_size: likewise.
      frames: likewise.
      keep: likewise.
      features: folder of FILM.npz, such as cinema-0-train-0003.npz, whose embeddings of the shots
        replace images; None: images.
      key: name of the embeddings in them, `[n f]`.
      cards: also return the cards that open and close a film, labeled by genre alone.

    Raises:
      ValueError: an argument is out of range, or the embeddings do not fit the film.
      FileNotFoundError: a film has no embeddings.
    """
    options = dict(seed=seed, split=split, films=films, first=first, minutes=minutes, fps=fps)
    opened = open_synthetic_films(**options, image_size=image_size, frames=frames, keep=keep)
    scene_runs = find_scene_runs(opened)
    parts = [part for film in opened for part in film.edit.parts]
    included = np.array([cards or part.scene is not None for part in parts], bool)
    labels = {name: _label_sets(truth, parts, included) for name, truth in SCENE_LABELS.items()}
    genres = [film.edit.film.genre.name for film in opened]
    labels["genre"] = [frozenset({genres[number]}) for number in scene_runs[included, 0].tolist()]
    names = np.array(number_scenes(scene_runs[:, 0]))[included]
    sources = (
        opened if features is None else [_with_features(film, features, key) for film in opened]
    )
    return FilmScenes(tuple(sources), scene_runs[included], tuple(names.tolist()), labels)


def _label_sets(
    truth: Callable[[Part], Iterable[str | None]], parts: list[Part], included: np.ndarray
) -> list[frozenset[str]]:
    return [
        frozenset() if part.scene is None else frozenset(filter(None, truth(part)))
        for part, chosen in zip(parts, included, strict=True)
        if chosen
    ]


def _with_features(film: SyntheticFilm, folder: str, key: str) -> FeatureFilm:
    path = Path(folder) / f"{film.film}.npz"
    arrays = read_npz(path)
    if key not in arrays:
        raise ValueError(f"{path} has no array {key!r}; expected one of: {', '.join(arrays)}")
    return FeatureFilm(film.film, film.seconds, film.frames, film.fps, film.starts, arrays[key])


def truth_to_movies(truth: SetTruth, ids: tuple[str, ...] | None = None) -> Movies:
    """Convert the truth of a set to movies: genres, synopses and co-watches.

    Args:
      truth: of a set.
      ids: of the movies, in the order of the films; None: the films' names.
    """
    user, movie = np.nonzero(truth.watched())
    value = np.full(len(user), np.nan, np.float32)
    return Movies(
        ids or tuple(film.name for film in truth.films),
        tuple(film.title for film in truth.films),
        tuple(frozenset(film.genres) for film in truth.films),
        tuple(film.synopsis for film in truth.films),
        Ratings(user.astype(np.int32), movie.astype(np.int32), value),
    )


def open_synthetic_movies(
    seed: int = 0,
    split: str = "train",
    films: int = 40,
    first: int = 0,
    minutes: float = 3.0,
    fps: int | str = 24,
) -> Movies:
    """Open the movies of `open_synthetic_films`, under the same ids; nothing is drawn."""
    # Settings of images and sound have no effect here.
    settings = Settings(seed, split, minutes, parse_frame_rate(fps), 90, 160, 16000, 1)
    truth = build_set_truth(settings, first + films)
    ids = tuple(f"cinema-{seed}-{split}-{number:04d}" for number in range(first + films))
    return truth_to_movies(truth, ids).select(ids[first:])


def read_synthetic_movies(path: Path) -> Movies:
    """Read the films of a synthetic set: genres, synopses, who watched what.

    Raises:
      ValueError: the file is no set.json.
    """
    truth = read_truth(path)
    if not isinstance(truth, SetTruth):
        raise ValueError(f"{path} is the truth of a film: name the folder's set.json")
    return truth_to_movies(truth)
