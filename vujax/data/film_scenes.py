"""Scenes of films: runs of their shots, see `vujax.data.scenes`; kind 'features'."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from vujax.data.films import Film, open_films
from vujax.data.scenes import Labels


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


def open_film_scenes(films: Mapping[str, Any], window: int | None = None) -> FilmScenes:
    """Scenes of films that `vujax.data.films` opens: precomputed features and others.

    Args:
      films: options of `open_films`; `kind` may be left out, and is then 'features'.
      window: None: scenes are where the films' labels say; a number: windows of so many shots.

    Raises:
      ValueError, FileNotFoundError: see `open_films` and `runs`.
    """
    opened = open_films(**({"kind": "features"} | dict(films.items())))
    return FilmScenes(opened, runs(opened, window))
