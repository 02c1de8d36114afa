"""Scenes as sequences of shots: what an encoder of scenes is trained with.

    scenes = open_scenes("movieclip", path="movieclip/*_labels.txt*", clips="clips.csv.gz")
    scenes.keys[0]                      # 'tt0118715/n3DXIGYjMkg'
    scenes.inputs(0)["feature"]         # float32 [t 150]
    scenes.inputs(0)["time"]            # float32 [t], where in the scene each shot is

A set holds little: which shots make up which scene. Pictures and large features are read for the
scenes, and for those of their shots, that are asked for.
"""

import importlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from absl import logging

from vujax.data.options import check_options
from vujax.data.shot_pictures import evenly

KINDS = {
    "catalog": ("vujax.catalog.film_scenes", "open_catalog_scenes"),
    "cinema": ("vujax.data.cinema.scenes", "open_cinema_scenes"),
    "features": ("vujax.data.film_scenes", "open_film_scenes"),
    "movieclip": ("vujax.data.movieclip", "open_movieclip"),
    "prepared": ("vujax.data.prepared_scenes", "open_prepared_scenes"),
}
LONG = ("thin", "cut")
COMMON = ("movies", "without", "max_shots", "long")
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


def open_scenes(
    kind: str,
    *,
    movies: Sequence[str] | None = None,
    without: Collection[str] = (),
    max_shots: int = 64,
    long: str = "thin",
    **options: Any,
) -> Scenes:
    """Opens a set of scenes.

    Args:
      kind: one of `KINDS`.
      movies: only scenes of these, which must be known; those without a scene are counted.
      without: scenes of these are left out, whether they are known or not: held out movies.
      max_shots: of a scene; what happens to a longer one is in `long`.
      long: 'thin' keeps `max_shots` of its shots, the middles of as many equal parts; 'cut' keeps
        the first ones.
      **options: of the kind's function.

    Raises:
      ValueError: the kind or an option is unknown, a movie is not there, or there is no scene; and
        whatever is wrong with the files.
      FileNotFoundError: a file is not there.
    """
    if kind not in KINDS:
        raise ValueError(f"scenes of kind '{kind}' are unknown: use one of {', '.join(KINDS)}")
    module, name = KINDS[kind]
    make = getattr(importlib.import_module(module), name)
    check_options(f"scenes of kind '{kind}'", make, options, COMMON)
    found = make(**options)
    check_scenes(found, f"scenes of kind '{kind}'")
    return choose_scenes(found, movies=movies, without=without, max_shots=max_shots, long=long)


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
        twice = next(key for key in scenes.keys if key in seen or seen.add(key))
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
