"""What a catalogue's labels and tags are of: the keyframes, shots or scenes of a film."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from vujax.catalog import Catalog, Id, scenes, vectors

ROUNDING_S = 1e-6  # of the seconds in tables
TIMES = {
    "frame": ("seconds", "seconds"),
    "shot": ("begin_s", "end_s"),
    "scene": ("begin_s", "end_s"),
}


@dataclass(frozen=True)
class Items:
    """The items of one film at one level, in order.

    Attributes:
      film: its id.
      level: 'frame', 'shot' or 'scene'.
      ids: of the items.
      seconds: float64 `[n 2]`, begin and end; of a keyframe both are its moment.
    """

    film: str
    level: str
    ids: tuple[str, ...]
    seconds: np.ndarray

    def inside(self, start: float, end: float) -> np.ndarray:
        """Which of them have their middle from `start` on and before `end`, bool `[n]`.

        A keyframe at `start` is inside even if `end` is the same.
        """
        middle = self.seconds.mean(axis=1)
        after = middle >= start - ROUNDING_S
        return after & ((middle < end) | (np.abs(middle - start) <= ROUNDING_S))


def items_of(catalog: Catalog, level: str, film: str) -> Items:
    """All items of a film, whether they have vectors or not.

    Raises:
      KeyError: the film is not in the catalogue.
      FileNotFoundError: scenes are wanted, and it has none.
      ValueError: the level is unknown, or a part of the catalogue is damaged.
    """
    times = _times(level)
    table = _table(catalog, level, film)
    seconds = np.stack([table[name].to_numpy() for name in times], axis=1).astype(np.float64)
    return Items(film, level, tuple(table["id"].to_pylist()), seconds)


def has_items(catalog: Catalog, level: str, film: str) -> bool:
    """Whether a film can have vectors of the level: keyframes, and for scenes also scenes."""
    if not vectors.has_any(catalog.manifest(film)):
        return False
    return level != "scene" or scenes.path(catalog.path, film).exists()


def vectors_of(
    catalog: Catalog, model: vectors.Model, items: Items
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of a film's items.

    Args:
      catalog: that has them.
      model: that made them.
      items: all of the film.

    Returns:
      Places int64 `[k]` of the items that have one, and float32 `[k d]`.

    Raises:
      FileNotFoundError, ValueError: there are none, or they are of something else.
    """
    table = catalog.vectors(items.level, model.folder, items.film)
    places = {key: place for place, key in enumerate(items.ids)}
    found = table["id"].to_pylist()
    if strange := next((key for key in found if key not in places), None):
        raise ValueError(
            f"{catalog.path} has a vector of {strange}, which is no {items.level} of its film: run "
            f"`vujax embed` with {model.name} again"
        )
    return np.array([places[key] for key in found], np.int64), vectors.matrix(table)


def lies_in(catalog: Catalog, items: Items, whole: Id) -> np.ndarray:
    """Which of the items are, or lie in, a film, scene, shot or keyframe, bool `[n]`.

    Nothing lies in what is finer than the items.

    Raises:
      FileNotFoundError, ValueError: it is a scene, and the film has none.
    """
    if whole == Id(items.film):
        return np.ones(len(items.ids), bool)
    if whole.scene is not None and items.level != "scene":
        first, last = _shots_of(catalog, whole)
        parsed = [Id.parse(key).shot for key in items.ids]
        return np.array([first <= shot <= last for shot in parsed], bool)
    head = str(whole)
    return np.array([key == head or key.startswith(f"{head}/") for key in items.ids], bool)


def known_ids(catalog: Catalog, level: str, film: str) -> Sequence[str]:
    """The ids of all that a film has of a level.

    Raises:
      FileNotFoundError: scenes are wanted, and it has none.
    """
    return [film] if level == "film" else _table(catalog, level, film)["id"].to_pylist()


def _shots_of(catalog: Catalog, scene: Id) -> tuple[int, int]:
    table = catalog.scenes(scene.film)
    row = table["id"].to_pylist().index(str(scene))
    return table["first_shot"][row].as_py(), table["last_shot"][row].as_py()


def _times(level: str) -> tuple[str, str]:
    if level not in vectors.LEVELS or level not in TIMES:
        known = ", ".join(vectors.LEVELS)
        raise ValueError(f"there are no vectors of level {level!r}: there are {known}")
    return TIMES[level]


def _table(catalog: Catalog, level: str, film: str) -> pa.Table:
    read = {"frame": catalog.keyframes, "shot": catalog.shots, "scene": catalog.scenes}
    return read[level](film)
