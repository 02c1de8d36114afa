"""Scenes as sequences of shots: what an encoder of scenes is trained with.

    scenes = open_scenes("movieclip", path="movieclip/*_labels.txt*", clips="clips.csv.gz")
    scenes.keys[0]                      # 'tt0118715/n3DXIGYjMkg'
    scenes.inputs(0)["feature"]         # float32 [t 150]
    scenes.inputs(0)["time"]            # float32 [t], where in the scene each shot is

A set holds little: which shots make up which scene. Pictures and large features are read for the
scenes, and for those of their shots, that are asked for.

Scenes of films: runs of their shots, see `vujax.data.scenes`; kind 'features'.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from absl import logging

from vujax.data.films import Film
from vujax.data.shot_frames import evenly

LONG = ("thin", "cut")


Labels = Mapping[str, Sequence[frozenset[str]]]


class Scenes(Protocol):
    """Scenes of several movies; picklable.

    Attributes:
      movies: ids of the movies that have scenes.
      movie: int32 `[n]`, which of them each scene is of.
      keys: 'MOVIE/SCENE' of each scene, all different.
      lengths: int32 `[n]`, shots of each scene, at least 1.
      labels: what is known of each scene, by name, for evaluation alone; may be empty.
      bare: ids of movies that are known and have no scene.
    """

    movies: tuple[str, ...]
    movie: np.ndarray
    keys: tuple[str, ...]
    lengths: np.ndarray
    labels: Labels
    bare: tuple[str, ...]

    def inputs(self, scene: int, shots: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """What an encoder sees of some shots of a scene.

        Args:
          scene: its number.
          shots: their places in it, int `[t]`; None: all.

        Returns:
          'time' float32 `[t]`, when a shot begins since the scene's first one: in seconds, or in
          shots where only their numbers are known. And any of 'feature' float32 `[t f]` or
          `[t k f]`, 'image' uint8 `[t k h w 3]` and 'audio' float32 `[t s mels]`.

        Raises:
          ValueError, FileNotFoundError: a file is damaged or gone.
        """


def check_scenes(scenes: Scenes, what: str) -> None:
    """Raises unless a set is one: scenes that have shots, under different keys.

    Raises:
      ValueError: it is not.
    """
    if not len(scenes.keys):
        raise ValueError(f"there are no {what}")
    if scenes.lengths.min() < 1:
        raise ValueError(f"scene {scenes.keys[int(scenes.lengths.argmin())]} has no shot")
    if len(set(scenes.keys)) < len(scenes.keys):
        seen: set[str] = set()
        twice = next(key for key in scenes.keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"two scenes are named {twice}: each needs an id of its own")


def choose_scenes(
    scenes: Scenes,
    *,
    movies: Sequence[str] | None = None,
    without: Collection[str] = (),
    max_shots: int = 64,
    long: str = "thin",
) -> "SomeScenes":
    """Some scenes of a set, none of them longer than `max_shots`; see `open_scenes`.

    Raises:
      ValueError: a movie is not there, no scene is left, or an option is wrong.
    """
    if long not in LONG:
        raise ValueError(f"long is {long!r}: use one of {', '.join(LONG)}")
    if max_shots < 1:
        raise ValueError(f"max_shots is {max_shots}: a scene needs at least 1 shot")
    wanted = set(scenes.movies if movies is None else movies) - set(without)
    if unknown := sorted(wanted - set(scenes.movies) - set(scenes.bare)):
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise ValueError(
            f"the movie {unknown[0]}{more} of `movies` is not among the {len(scenes.movies)} "
            "movies that have scenes: correct its id, or leave it out"
        )
    kept = np.array([movie in wanted for movie in scenes.movies], bool)
    index = np.flatnonzero(kept[scenes.movie])
    if not len(index):
        raise ValueError(f"no scene is left of {len(scenes.keys)}: change `movies` or `without`")
    bare = tuple(sorted(wanted & set(scenes.bare)))
    if movies is not None and bare:
        logging.info("%d of %d movies have no scene, %s first", len(bare), len(wanted), bare[0])
    return SomeScenes(scenes, index, max_shots, long, bare)


@dataclass(frozen=True, eq=False)
class SomeScenes:
    """Some scenes of another set; see `Scenes` and `choose_scenes`.

    Attributes:
      of: the other set.
      index: int64 `[n]`, numbers of the scenes in it.
      max_shots: of a scene.
      long: which shots of a longer one are kept.
    """

    of: Scenes
    index: np.ndarray
    max_shots: int
    long: str
    bare: tuple[str, ...] = ()
    movies: tuple[str, ...] = field(init=False, repr=False)
    movie: np.ndarray = field(init=False, repr=False)
    keys: tuple[str, ...] = field(init=False, repr=False)
    lengths: np.ndarray = field(init=False, repr=False)
    labels: Labels = field(init=False, repr=False)

    def __post_init__(self) -> None:
        there, movie = np.unique(self.of.movie[self.index], return_inverse=True)
        labels = {
            name: [values[i] for i in self.index.tolist()]
            for name, values in self.of.labels.items()
        }
        for name, value in (
            ("movies", tuple(self.of.movies[i] for i in there.tolist())),
            ("movie", movie.astype(np.int32)),
            ("keys", tuple(self.of.keys[i] for i in self.index.tolist())),
            ("lengths", np.minimum(self.of.lengths[self.index], self.max_shots).astype(np.int32)),
            ("labels", labels),
        ):
            object.__setattr__(self, name, value)

    def inputs(self, scene: int, shots: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """See `Scenes`."""
        number = int(self.index[scene])
        there, kept = int(self.of.lengths[number]), int(self.lengths[scene])
        if kept == there:
            return self.of.inputs(number, shots)
        places = np.array(evenly(there, kept)) if self.long == "thin" else np.arange(kept)
        return self.of.inputs(number, places if shots is None else places[shots])


@dataclass(frozen=True, eq=False)
class SingleShots:
    """Each shot of a set's scenes as a scene of its own, in their order; see `Scenes`.

    What an encoder makes of single shots, beside what it makes of whole scenes. Its key is the
    scene's with the shot's place in it, 'MOVIE/SCENE/3'; its labels are the scene's.

    Attributes:
      of: the set.
      scene: int64 `[n]`, which of its scenes each shot is of.
      shot: int64 `[n]`, place of the shot in it.
    """

    of: Scenes
    scene: np.ndarray = field(init=False, repr=False)
    shot: np.ndarray = field(init=False, repr=False)
    movies: tuple[str, ...] = field(init=False, repr=False)
    movie: np.ndarray = field(init=False, repr=False)
    keys: tuple[str, ...] = field(init=False, repr=False)
    lengths: np.ndarray = field(init=False, repr=False)
    labels: Labels = field(init=False, repr=False)
    bare: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        scene = np.repeat(np.arange(len(self.of.keys)), self.of.lengths)
        shot = np.concatenate([np.arange(length) for length in self.of.lengths.tolist()])
        keys = tuple(
            f"{self.of.keys[i]}/{k}" for i, k in zip(scene.tolist(), shot.tolist(), strict=True)
        )
        labels = {
            name: [values[i] for i in scene.tolist()] for name, values in self.of.labels.items()
        }
        for name, value in (
            ("scene", scene),
            ("shot", shot),
            ("movies", self.of.movies),
            ("movie", self.of.movie[scene]),
            ("keys", keys),
            ("lengths", np.ones(len(scene), np.int32)),
            ("labels", labels),
            ("bare", self.of.bare),
        ):
            object.__setattr__(self, name, value)

    def inputs(self, scene: int, shots: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """See `Scenes`; the time of a shot alone is 0."""
        number, place = int(self.scene[scene]), self.shot[scene : scene + 1]
        found = self.of.inputs(number, place if shots is None else place[shots])
        return found | {"time": np.zeros_like(found["time"])}


@dataclass(frozen=True, eq=False)
class FilmScenes:
    """Runs of shots of films; a movie's id is its film's.

    Attributes:
      films: whose shots they are.
      runs: int64 `[n 3]`: number of the film, first shot, last shot + 1.
      names: of each scene in its film, unique there; None: by number, 'c000', 'c001', ...
      labels: see `Scenes`.

    Raises:
      ValueError: a run has no shots, or others than its film has.
    """

    films: tuple[Film, ...]
    runs: np.ndarray
    names: tuple[str, ...] | None = None
    labels: Labels = field(default_factory=dict)

    def __post_init__(self) -> None:
        ends = np.array([len(film) for film in self.films], np.int64)[self.runs[:, 0]]
        good = (self.runs[:, 1] >= 0) & (self.runs[:, 1] < self.runs[:, 2])
        good &= self.runs[:, 2] <= ends
        if not good.all():
            film, first, end = self.runs[int(np.flatnonzero(~good)[0])].tolist()
            raise ValueError(
                f"a scene of {self.films[film].film} has the shots from {first} to {end - 1}: the "
                f"film has those from 0 to {len(self.films[film]) - 1}, and a scene at least one"
            )

    @cached_property
    def movies(self) -> tuple[str, ...]:
        """Films that have scenes."""
        return tuple(self.films[i].film for i in np.unique(self.runs[:, 0]).tolist())

    @cached_property
    def bare(self) -> tuple[str, ...]:
        """The other films."""
        return tuple(film.film for film in self.films if film.film not in set(self.movies))

    @cached_property
    def movie(self) -> np.ndarray:
        """See `Scenes`."""
        return np.unique(self.runs[:, 0], return_inverse=True)[1].astype(np.int32)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """See `Scenes`."""
        names = numbered(self.runs[:, 0]) if self.names is None else self.names
        films = self.runs[:, 0].tolist()
        return tuple(f"{self.films[i].film}/{name}" for i, name in zip(films, names, strict=True))

    @cached_property
    def lengths(self) -> np.ndarray:
        """See `Scenes`."""
        return (self.runs[:, 2] - self.runs[:, 1]).astype(np.int32)

    def inputs(self, scene: int, shots: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """See `Scenes`; time is in seconds."""
        number, first, end = self.runs[scene].tolist()
        film = self.films[number]
        numbers = np.arange(first, end) if shots is None else first + np.asarray(shots)
        since = film.seconds[numbers, 0] - film.seconds[first, 0]
        return film.inputs(numbers) | {"time": since.astype(np.float32)}


def numbered(films: np.ndarray) -> list[str]:
    """'c000', 'c001', ... of the scenes of each film; films int `[n]`, in order."""
    count: dict[int, int] = {}
    names = []
    for film in films.tolist():
        names.append(f"c{count.get(film, 0):03d}")
        count[film] = count.get(film, 0) + 1
    return names


def runs(films: Sequence[Film], window: int | None = None) -> np.ndarray:
    """The scenes of films, int64 `[n 3]` (see `FilmScenes`).

    Args:
      films: in order.
      window: shots of a scene, one scene after the other, the last of a film shorter; None: scenes
        are where the films' labels say that they begin.

    Raises:
      ValueError: a film has no labels where they are needed, or the window has no shots.
    """
    if window is not None and window < 1:
        raise ValueError(f"window is {window}: a scene needs at least 1 shot")
    found = []
    for number, film in enumerate(films):
        if window is not None:
            begins = np.arange(0, len(film), window)
        elif film.starts is None:
            raise ValueError(
                f"film '{film.film}' has no labels that say where its scenes begin: give them, or "
                "take windows of shots with window"
            )
        else:
            begins = np.concatenate([[0], 1 + np.flatnonzero(film.starts)])
        ends = np.append(begins[1:], len(film))
        found.append(np.stack([np.full(len(begins), number), begins, ends], axis=1))
    return np.concatenate([np.zeros((0, 3)), *found]).astype(np.int64)
