"""Films as sequences of shots, the input of training and scoring of scene boundaries.

    films = open_films("features", path="boundaries/", pattern="bbc_*", key="vgg19")
    films[0].starts                              # bool [n-1], True: a scene starts with shot i+1
    films[0].inputs(np.array([0, 1]))["feature"] # float32 [2 f]

A film stores only times and labels. Images, audio and large features are read for the requested
shots. `vujax.data.registry.open_films` opens a set of films.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import jax
import numpy as np

FILM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

"""Film ids that may become part of a path."""


class Film(Protocol):
    """The shots of one film in order; picklable.

    Attributes:
      film: id, unique in a set.
      seconds: float64 `[n 2]`, start and end of each shot in film time.
      frames: int64 `[n 2]`, first and last frame, inclusive; None: unknown.
      fps: frames per second; None: unknown.
      starts: bool `[n-1]`: `starts[i]` is True if a scene starts with shot i+1; None: unlabeled.
    """

    film: str
    seconds: np.ndarray
    frames: np.ndarray | None
    fps: float | None
    starts: np.ndarray | None

    def __len__(self) -> int:
        """Return the number of shots."""

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """Return the encoder inputs of some shots.

        Args:
          shots: numbers of the shots, int `[k]`, in any order.

        Returns:
          Any of 'feature' float32 `[k f]`, 'image' uint8 `[k frames h w 3]` and 'audio' float32
          `[k t mels]`, log-mel.

        Raises:
          ValueError, FileNotFoundError: a file is damaged or missing.
        """


def check_films(films: Sequence[Film], kind: str, options: Mapping[str, Any]) -> None:
    """Check that a set has films, and that their ids are unique.

    Raises:
      ValueError: it has none, or two films have one id.
    """
    if not films:
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise ValueError(f"there is no film of kind '{kind}' with {given or 'no option'}")
    ids = [film.film for film in films]
    if len(set(ids)) < len(ids):
        twice = next(film for film in ids if ids.count(film) > 1)
        raise ValueError(f"two films are named {twice}: each needs an id of its own")


def select_films(available: Sequence[str], wanted: Sequence[str] | None, where: str) -> list[str]:
    """Return the wanted films, in their order, or all that are available.

    Args:
      available: ids of the films.
      wanted: ids, such as those of a split; None: all.
      where: names the set in the message.

    Raises:
      ValueError: a wanted film is not available.
    """
    if wanted is None:
        return list(available)
    if unknown := [film for film in wanted if film not in set(available)]:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise ValueError(f"{where} has no film {unknown[0]}{more}: it has {_abbreviate(available)}")
    return list(wanted)


def _abbreviate(names: Sequence[str], limit: int = 8) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "none") + rest


def frames_to_seconds(frames: np.ndarray, fps: float) -> np.ndarray:
    """Convert inclusive frame ranges `[n 2]` to start and end in seconds, float64 `[n 2]`."""
    frames = np.asarray(frames, np.float64).reshape(-1, 2)
    return (frames + [0, 1]) / fps


@dataclass(frozen=True, eq=False)
class Shots:
    """Times and labels of a film's shots, the base class of films; see `Film`.

    Arrays are converted to their dtypes and checked, so that their users need not.

    Raises:
      ValueError: the film has no shots, they are not in order, or labels do not match them.
    """

    film: str
    seconds: np.ndarray
    frames: np.ndarray | None = None
    fps: float | None = None
    starts: np.ndarray | None = None

    def __post_init__(self) -> None:
        def convert(name: str, dtype: type, width: int | None) -> None:
            array = getattr(self, name)
            if array is not None:
                array = np.asarray(array, dtype)
                shape = array.shape if width is None else array.reshape(-1, width).shape
                object.__setattr__(self, name, array.reshape(shape))

        convert("seconds", np.float64, 2)
        convert("frames", np.int64, 2)
        self._check_times()
        if self.starts is not None:
            self._check_labels(np.asarray(self.starts))
            convert("starts", bool, None)

    def __len__(self) -> int:
        return len(self.seconds)

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields without cached files: each process opens its own."""
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
        # Shots may overlap by some frames, as around dissolves in some lists.
        is_valid = (self.seconds[:, 1] > self.seconds[:, 0]) & np.isfinite(self.seconds).all(axis=1)
        is_valid[1:] &= self.seconds[1:, 0] >= self.seconds[:-1, 0]
        if not is_valid.all():
            shot = int(np.flatnonzero(~is_valid)[0])
            start, end = self.seconds[shot]
            raise ValueError(
                f"shot {shot} of {self.film} lasts from {start:g} s to {end:g} s: it is empty, or "
                "starts before the previous shot"
            )

    def _check_labels(self, starts: np.ndarray) -> None:
        if starts.shape != (len(self) - 1,):
            raise ValueError(
                f"{self.film} has {len(starts)} labels for {len(self)} shots: it needs one for "
                f"each boundary between two, {len(self) - 1}"
            )
        if not np.isin(starts, (0, 1)).all():
            raise ValueError(f"{self.film} has labels other than 0 and 1")


def input_arrays(
    inputs: Mapping[str, tuple[int, ...]], rows: int, width: int
) -> dict[str, jax.ShapeDtypeStruct]:
    """Return shapes `[rows width ...]` and dtypes of a batch with `width` shots per row.

    Args:
      inputs: shape of one shot's 'image' `[k h w 3]`, 'audio' `[t mels]` or 'feature' `[f]`.
      rows: rows of the batch.
      width: shots of a row.
    """
    dtypes = {name: np.uint8 if name == "image" else np.float32 for name in inputs}
    return {
        name: jax.ShapeDtypeStruct((rows, width, *shape), dtypes[name])
        for name, shape in inputs.items()
    }


def check_inputs(film: Film, inputs: Mapping[str, tuple[int, ...]]) -> None:
    """Check that the shots of a film have the inputs of the config.

    Raises:
      ValueError: an input is missing or has another shape.
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
