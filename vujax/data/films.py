"""Films as rows of shots: what training and scoring of scenes are fed with.

    films = open_films("features", path="boundaries/", pattern="bbc_*", key="vgg19")
    films[0].starts                              # bool [n-1]: does a scene begin after border i?
    films[0].inputs(np.array([0, 1]))["feature"] # float32 [2 f]

A film holds little: times and labels. Pictures, sound and large features are read for the shots
that are asked for.

What is read of films' shots: pictures, sound, features, of the shapes that the config names.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import jax
import numpy as np

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

"""What a film's id must be where it becomes part of a path."""


class Film(Protocol):
    """The shots of one film in order; picklable.

    Attributes:
      film: its id, unique in a set.
      seconds: float64 `[n 2]`, begin and end of each shot in film time.
      frames: int64 `[n 2]`, first and last frame, inclusive; None where they are not known.
      fps: frames per second, where known.
      starts: bool `[n-1]`: `starts[i]` says that a scene begins with shot i+1; None: not labelled.
    """

    film: str
    seconds: np.ndarray
    frames: np.ndarray | None
    fps: float | None
    starts: np.ndarray | None

    def __len__(self) -> int:
        """How many shots it has."""

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """What an encoder sees of some shots.

        Args:
          shots: their numbers, int `[k]`, in any order.

        Returns:
          Any of 'feature' float32 `[k f]`, 'image' uint8 `[k frames h w 3]` and 'audio' float32
          `[k t mels]`, log-mel.

        Raises:
          ValueError, FileNotFoundError: a file is damaged or gone.
        """


def check_films(films: Sequence[Film], kind: str, options: Mapping[str, Any]) -> None:
    """Raise unless a set has films, under different ids.

    Raises:
      ValueError: it has none, or two films have one id.
    """
    if not films:
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise ValueError(f"there is no film of kind '{kind}' with {given or 'no option'}")
    ids = [film.film for film in films]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise ValueError(f"two films are named {twice}: each needs an id of its own")


def choose(there: Sequence[str], wanted: Sequence[str] | None, where: str) -> list[str]:
    """The films that are wanted, in their order, or all that are there.

    Args:
      there: ids of what there is.
      wanted: ids, such as those of a split; None for all.
      where: names the place in the message.

    Raises:
      ValueError: one that is wanted is not there.
    """
    if wanted is None:
        return list(there)
    if unknown := [film for film in wanted if film not in set(there)]:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise ValueError(f"{where} has no film {unknown[0]}{more}: it has {_some(there)}")
    return list(wanted)


def _some(names: Sequence[str], most: int = 8) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + rest


def frame_seconds(frames: np.ndarray, fps: float) -> np.ndarray:
    """Begin and end in seconds, float64 `[n 2]`, of frame ranges `[n 2]`, both ends inclusive."""
    frames = np.asarray(frames, np.float64).reshape(-1, 2)
    return (frames + [0, 1]) / fps


@dataclass(frozen=True, eq=False)
class Shots:
    """What is known of a film's shots without looking at them; see `Film`.

    Arrays are converted to their dtypes and checked, so that what reads them need not.

    Raises:
      ValueError: the film has no shots, they are not in order, or labels do not fit them.
    """

    film: str
    seconds: np.ndarray
    frames: np.ndarray | None = None
    fps: float | None = None
    starts: np.ndarray | None = None

    def __post_init__(self) -> None:
        def keep(name: str, dtype: type, width: int | None) -> None:
            array = getattr(self, name)
            if array is not None:
                array = np.asarray(array, dtype)
                shape = array.shape if width is None else array.reshape(-1, width).shape
                object.__setattr__(self, name, array.reshape(shape))

        keep("seconds", np.float64, 2)
        keep("frames", np.int64, 2)
        self._check_times()
        if self.starts is not None:
            self._check_labels(np.asarray(self.starts))
            keep("starts", bool, None)

    def __len__(self) -> int:
        return len(self.seconds)

    def __getstate__(self) -> dict[str, Any]:
        """Without what was opened on the way: each process opens its own files."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def _check_times(self) -> None:
        if not len(self):
            raise ValueError(f"{self.film} has no shots")
        if self.frames is not None and len(self.frames) != len(self):
            raise ValueError(f"{self.film} has frames of {len(self.frames)} shots of {len(self)}")
        if self.fps is not None and not 0 < self.fps < np.inf:
            raise ValueError(f"{self.film} has {self.fps} frames per second: give a positive rate")
        # Shots may overlap by some frames, as those of dissolves do in some lists.
        good = (self.seconds[:, 1] > self.seconds[:, 0]) & np.isfinite(self.seconds).all(axis=1)
        good[1:] &= self.seconds[1:, 0] >= self.seconds[:-1, 0]
        if not good.all():
            shot = int(np.flatnonzero(~good)[0])
            begin, end = self.seconds[shot]
            raise ValueError(
                f"shot {shot} of {self.film} lasts from {begin:g} s to {end:g} s: it is empty, or "
                "begins before the shot before it"
            )

    def _check_labels(self, starts: np.ndarray) -> None:
        if starts.shape != (len(self) - 1,):
            raise ValueError(
                f"{self.film} has {len(starts)} labels for {len(self)} shots: it needs one for "
                f"each border between two, {len(self) - 1}"
            )
        if not np.isin(starts, (0, 1)).all():
            raise ValueError(f"{self.film} has labels other than 0 and 1")


def input_arrays(
    inputs: Mapping[str, tuple[int, ...]], rows: int, width: int
) -> dict[str, jax.ShapeDtypeStruct]:
    """The arrays `[rows width ...]` of a batch with `width` shots a row.

    Args:
      inputs: shape of one shot's 'image' `[k h w 3]`, 'audio' `[t mels]` or 'feature' `[f]`.
      rows: of the batch.
      width: shots of a row.
    """
    dtypes = {name: np.uint8 if name == "image" else np.float32 for name in inputs}
    return {
        name: jax.ShapeDtypeStruct((rows, width, *shape), dtypes[name])
        for name, shape in inputs.items()
    }


def check_inputs(film: Film, inputs: Mapping[str, tuple[int, ...]]) -> None:
    """Raises unless a film's shots have what the config says.

    Raises:
      ValueError: something is missing or has another shape.
    """
    seen = film.inputs(np.zeros(1, np.int64))
    for name, shape in inputs.items():
        if name not in seen:
            raise ValueError(
                f"film '{film.film}' has no {name} of its shots, only {sorted(seen)}: change "
                "config.inputs or data.films"
            )
        if seen[name].shape[1:] != tuple(shape):
            raise ValueError(
                f"film '{film.film}' has a {name} of shape {seen[name].shape[1:]} for each shot, "
                f"and config.inputs says {tuple(shape)}"
            )
