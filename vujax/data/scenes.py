"""Scenes as sequences of shots, the examples of scene encoders.

    scenes = open_scenes("movieclip", path="movieclip/*_labels.txt*", clips="clips.csv.gz")
    scenes.keys[0]                      # 'tt0118715/n3DXIGYjMkg'
    scenes.inputs(0)["feature"]         # float32 [t 150]
    scenes.inputs(0)["time"]            # float32 [t], start of each shot in the scene

A set stores only the shots of each scene. Images and large features are read for the requested
scenes, and for those of their shots that are used. `vujax.data.registry.open_scenes` opens a set.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from absl import logging

from vujax.data.films import Film
from vujax.data.images import sample_evenly

LONG_SCENE_RULES = ("thin", "cut")

Labels = Mapping[str, Sequence[frozenset[str]]]


class Scenes(Protocol):
    """Scenes of several movies; picklable.

    Attributes:
      movies: ids of the movies that have scenes.
      movie: int32 `[n]`, index into `movies` of each scene.
      keys: 'MOVIE/SCENE' of each scene, unique.
      lengths: int32 `[n]`, shots of each scene, at least 1.
      labels: labels of each scene, by name, for evaluation only; may be empty.
      empty_movies: ids of known movies without a scene.
    """

    movies: tuple[str, ...]
    movie: np.ndarray
    keys: tuple[str, ...]
    lengths: np.ndarray
    labels: Labels
    empty_movies: tuple[str, ...]

    def inputs(self, scene: int, shots: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return the encoder inputs of some shots of a scene.

        Args:
          scene: number of the scene.
          shots: numbers of the shots in the scene, int `[t]`; None: all.

        Returns:
          'time' float32 `[t]`, start of each shot relative to the scene's first one: in seconds, or
          in shots where only their numbers are known. And any of 'feature' float32 `[t f]` or
          `[t k f]`, 'image' uint8 `[t k h w 3]` and 'audio' float32 `[t s mels]`.

        Raises:
          ValueError, FileNotFoundError: a file is damaged or missing.
        """


def check_scenes(scenes: Scenes, what: str) -> None:
    """Check that a set has scenes, that these have shots, and that their keys are unique.

    Raises:
      ValueError: it does not.
    """
    if not len(scenes.keys):
        raise ValueError(f"there are no {what}")
    if scenes.lengths.min() < 1:
        raise ValueError(f"scene {scenes.keys[int(scenes.lengths.argmin())]} has no shot")
    if len(set(scenes.keys)) < len(scenes.keys):
        seen: set[str] = set()
        twice = next(key for key in scenes.keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"two scenes are named {twice}: each needs an id of its own")


def select_scenes(
    scenes: Scenes,
    *,
    movies: Sequence[str] | None = None,
    without: Collection[str] = (),
    max_shots: int = 64,
    long: str = "thin",
) -> "SceneSubset":
    """Select scenes of a set, and shorten those longer than `max_shots`; see `open_scenes`.

    Raises:
      ValueError: a movie is unknown, no scene is left, or an option is invalid.
    """
    if long not in LONG_SCENE_RULES:
        raise ValueError(f"unknown long {long!r}; expected one of: {', '.join(LONG_SCENE_RULES)}")
    if max_shots < 1:
        raise ValueError(f"max_shots must be at least 1, got {max_shots}")
    wanted = set(scenes.movies if movies is None else movies) - set(without)
    if unknown := sorted(wanted - set(scenes.movies) - set(scenes.empty_movies)):
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise ValueError(
            f"the movie {unknown[0]}{more} of `movies` is not among the {len(scenes.movies)} "
            "movies that have scenes: correct its id, or leave it out"
        )
    is_wanted = np.array([movie in wanted for movie in scenes.movies], bool)
    index = np.flatnonzero(is_wanted[scenes.movie])
    if not len(index):
        raise ValueError(f"no scene is left of {len(scenes.keys)}: change `movies` or `without`")
    empty = tuple(sorted(wanted & set(scenes.empty_movies)))
    if movies is not None and empty:
        logging.info("%d of %d movies have no scene, %s first", len(empty), len(wanted), empty[0])
    return SceneSubset(scenes, index, max_shots, long, empty)


@dataclass(frozen=True, eq=False)
class SceneSubset:
    """Some scenes of another set; see `Scenes` and `select_scenes`.

    Attributes:
      source: the other set.
      index: int64 `[n]`, numbers of the scenes in it.
      max_shots: maximum length of a scene.
      long: rule that selects the shots of a longer one.
    """

    source: Scenes
    index: np.ndarray
    max_shots: int
    long: str
    empty_movies: tuple[str, ...] = ()
    movies: tuple[str, ...] = field(init=False, repr=False)
    movie: np.ndarray = field(init=False, repr=False)
    keys: tuple[str, ...] = field(init=False, repr=False)
    lengths: np.ndarray = field(init=False, repr=False)
    labels: Labels = field(init=False, repr=False)

    def __post_init__(self) -> None:
        source, index = self.source, self.index
        present, movie = np.unique(source.movie[index], return_inverse=True)
        lengths = np.minimum(source.lengths[index], self.max_shots)
        for name, value in (
            ("movies", tuple(source.movies[i] for i in present.tolist())),
            ("movie", movie.astype(np.int32)),
            ("keys", tuple(source.keys[i] for i in index.tolist())),
            ("lengths", lengths.astype(np.int32)),
            ("labels", _take_labels(source.labels, index)),
        ):
            object.__setattr__(self, name, value)

    def inputs(self, scene: int, shots: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return the encoder inputs of some shots; see `Scenes`."""
        number = int(self.index[scene])
        total, length = int(self.source.lengths[number]), int(self.lengths[scene])
        if length == total:
            return self.source.inputs(number, shots)
        chosen = (
            np.array(sample_evenly(total, length)) if self.long == "thin" else np.arange(length)
        )
        return self.source.inputs(number, chosen if shots is None else chosen[shots])


@dataclass(frozen=True, eq=False)
class SingleShotScenes:
    """Each shot of a set's scenes as a scene of its own, in their order; see `Scenes`.

    For the comparison of single shots with whole scenes. The key is the scene's with the number of
    the shot, 'MOVIE/SCENE/3'; the labels are the scene's.

    Attributes:
      source: the set.
      scene: int64 `[n]`, scene of each shot.
      shot: int64 `[n]`, number of each shot in its scene.
    """

    source: Scenes
    scene: np.ndarray = field(init=False, repr=False)
    shot: np.ndarray = field(init=False, repr=False)
    movies: tuple[str, ...] = field(init=False, repr=False)
    movie: np.ndarray = field(init=False, repr=False)
    keys: tuple[str, ...] = field(init=False, repr=False)
    lengths: np.ndarray = field(init=False, repr=False)
    labels: Labels = field(init=False, repr=False)
    empty_movies: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        source = self.source
        scene = np.repeat(np.arange(len(source.keys)), source.lengths)
        shot = np.concatenate([np.arange(length) for length in source.lengths.tolist()])
        pairs = zip(scene.tolist(), shot.tolist(), strict=True)
        for name, value in (
            ("scene", scene),
            ("shot", shot),
            ("movies", source.movies),
            ("movie", source.movie[scene]),
            ("keys", tuple(f"{source.keys[i]}/{k}" for i, k in pairs)),
            ("lengths", np.ones(len(scene), np.int32)),
            ("labels", _take_labels(source.labels, scene)),
            ("empty_movies", source.empty_movies),
        ):
            object.__setattr__(self, name, value)

    def inputs(self, scene: int, shots: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return the encoder inputs of the shot; see `Scenes`. Its time is 0."""
        number, chosen = int(self.scene[scene]), self.shot[scene : scene + 1]
        inputs = self.source.inputs(number, chosen if shots is None else chosen[shots])
        return inputs | {"time": np.zeros_like(inputs["time"])}


def _take_labels(labels: Labels, index: np.ndarray) -> dict[str, list[frozenset[str]]]:
    return {name: [values[i] for i in index.tolist()] for name, values in labels.items()}


@dataclass(frozen=True, eq=False)
class FilmScenes:
    """Scenes that are runs of shots of films; the id of a movie is its film's.

    Attributes:
      films: films.
      runs: int64 `[n 3]`: number of the film, first shot, last shot + 1.
      names: names of the scenes, unique in their film; None: by number, 'c000', 'c001', ...
      labels: see `Scenes`.

    Raises:
      ValueError: a run is empty, or has shots that its film lacks.
    """

    films: tuple[Film, ...]
    runs: np.ndarray
    names: tuple[str, ...] | None = None
    labels: Labels = field(default_factory=dict)

    def __post_init__(self) -> None:
        ends = np.array([len(film) for film in self.films], np.int64)[self.runs[:, 0]]
        is_valid = (self.runs[:, 1] >= 0) & (self.runs[:, 1] < self.runs[:, 2])
        is_valid &= self.runs[:, 2] <= ends
        if not is_valid.all():
            film, first, end = self.runs[int(np.flatnonzero(~is_valid)[0])].tolist()
            raise ValueError(
                f"a scene of {self.films[film].film} has the shots from {first} to {end - 1}: the "
                f"film has those from 0 to {len(self.films[film]) - 1}, and a scene at least one"
            )

    @cached_property
    def movies(self) -> tuple[str, ...]:
        """Ids of the films that have scenes."""
        return tuple(self.films[i].film for i in np.unique(self.runs[:, 0]).tolist())

    @cached_property
    def empty_movies(self) -> tuple[str, ...]:
        """Ids of the other films."""
        return tuple(film.film for film in self.films if film.film not in set(self.movies))

    @cached_property
    def movie(self) -> np.ndarray:
        """Index into `movies` of each scene, int32 `[n]`."""
        return np.unique(self.runs[:, 0], return_inverse=True)[1].astype(np.int32)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Key of each scene, 'FILM/SCENE'."""
        names = number_scenes(self.runs[:, 0]) if self.names is None else self.names
        films = self.runs[:, 0].tolist()
        return tuple(f"{self.films[i].film}/{name}" for i, name in zip(films, names, strict=True))

    @cached_property
    def lengths(self) -> np.ndarray:
        """Shots of each scene, int32 `[n]`."""
        return (self.runs[:, 2] - self.runs[:, 1]).astype(np.int32)

    def inputs(self, scene: int, shots: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return the encoder inputs of some shots; see `Scenes`. Time is in seconds."""
        number, first, end = self.runs[scene].tolist()
        film = self.films[number]
        numbers = np.arange(first, end) if shots is None else first + np.asarray(shots)
        since = film.seconds[numbers, 0] - film.seconds[first, 0]
        return film.inputs(numbers) | {"time": since.astype(np.float32)}


def number_scenes(films: np.ndarray) -> list[str]:
    """Name the scenes of each film 'c000', 'c001', ...; films int `[n]`, in order."""
    counts: dict[int, int] = {}
    names = []
    for film in films.tolist():
        names.append(f"c{counts.get(film, 0):03d}")
        counts[film] = counts.get(film, 0) + 1
    return names


def find_scene_runs(films: Sequence[Film], window: int | None = None) -> np.ndarray:
    """Divide films into scenes, int64 `[n 3]` (see `FilmScenes`).

    Args:
      films: films, in order.
      window: shots of a scene, consecutive and without gaps, the last of a film shorter; None: use
        the films' labels of scene boundaries.

    Raises:
      ValueError: a film has no labels where they are needed, or the window has no shots.
    """
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1 shot, got {window}")
    parts = []
    for number, film in enumerate(films):
        if window is not None:
            starts = np.arange(0, len(film), window)
        elif film.starts is None:
            raise ValueError(
                f"film '{film.film}' has no labels of scene boundaries: give them, or set window "
                "to use windows of shots"
            )
        else:
            starts = np.concatenate([[0], 1 + np.flatnonzero(film.starts)])
        ends = np.append(starts[1:], len(film))
        parts.append(np.stack([np.full(len(starts), number), starts, ends], axis=1))
    return np.concatenate([np.zeros((0, 3)), *parts]).astype(np.int64)
