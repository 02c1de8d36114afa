"""Keyframes of a whole catalogue by their ids, and those of any span of shots, without a search."""

import functools
import threading
from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from vujax.catalog import Catalog, Id
from vujax.catalog.records import RecordReader

MAX_OPEN_FILES = 64  # files at once
COLUMNS = ("film", "shot", "id", "seconds", "record")
SHIFT = 1 << 32  # more shots than a film has


class KeyframeIndex:
    """The keyframes of a catalogue as it was when this was made."""

    def __init__(self, catalog: Catalog) -> None:
        """Reads the tables of keyframes.

        Raises:
          ValueError: one is damaged.
        """
        self._catalog, self._films = catalog, catalog.film_ids()
        self._numbers = {film: number for number, film in enumerate(self._films)}
        table = catalog.keyframes().select(COLUMNS).combine_chunks()
        films = pc.index_in(table["film"], pc.unique(table["film"])).to_numpy()
        order = np.array([self._numbers[f] for f in pc.unique(table["film"]).to_pylist()], np.int64)
        of_film = order[films] if len(films) else np.zeros(0, np.int64)
        self._keys = of_film * SHIFT + table["shot"].to_numpy()
        self._ids, self._seconds = table["id"], table["seconds"]
        self._records = table["record"].to_numpy()
        self._reader = functools.lru_cache(MAX_OPEN_FILES)(self._open)
        self._lock = threading.Lock()

    def find_range(self, film: str, first: int, last: int) -> range:
        """Places of the keyframes of a film's shots first..last, for `id` and `seconds`."""
        number = self._numbers[film] * SHIFT
        low = np.searchsorted(self._keys, number + first, side="left")
        return range(int(low), int(np.searchsorted(self._keys, number + last, side="right")))

    def find_middles(self, films: Sequence[str], first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Of each span of shots, the place of the keyframe in its middle; int64 `[n]`, -1 for none.

        Args:
          films: of each span.
          first: first shot of each.
          last: last shot of each.
        """
        numbers = np.array([self._numbers[film] for film in films], np.int64) * SHIFT
        low = np.searchsorted(self._keys, numbers + first, side="left")
        high = np.searchsorted(self._keys, numbers + last, side="right")
        return np.where(low < high, (low + high) // 2, -1)

    def id(self, place: int) -> str:
        """Id of a keyframe."""
        return self._ids[place].as_py()

    def seconds(self, place: int) -> float:
        """Its time."""
        return self._seconds[place].as_py()

    def read_jpeg(self, film: str, shot: int, keyframe: int) -> bytes:
        """A keyframe's file.

        Raises:
          KeyError: there is no such keyframe.
          FileNotFoundError, ValueError: its file is missing or damaged.
        """
        wanted = str(Id(film, shot=shot, keyframe=keyframe))
        places = self.find_range(film, shot, shot) if film in self._numbers else ()
        place = next((place for place in places if self.id(place) == wanted), None)
        if place is None:
            raise KeyError(f"the catalogue has no keyframe {wanted}")
        with self._lock:  # a reader is not for several threads at once
            return self._reader(film)[int(self._records[place])]

    def _open(self, film: str) -> RecordReader:
        return self._catalog.jpegs(film)
