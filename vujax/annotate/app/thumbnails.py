"""Keyframes of a catalog by id, and by span of shots, in constant or logarithmic time."""

import functools
import threading
from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from vujax.catalog import Catalog, Id
from vujax.catalog.records import RecordReader

MAX_OPEN_FILES = 64  # at once
COLUMNS = ("film", "shot", "id", "seconds", "record")
SHIFT = 1 << 32  # exceeds the number of shots of any film


class KeyframeIndex:
    """Index of the keyframes of a catalog, fixed at construction."""

    def __init__(self, catalog: Catalog) -> None:
        """Read the tables of keyframes.

        Raises:
          ValueError: a table is damaged.
        """
        self._catalog, self._films = catalog, catalog.film_ids()
        self._numbers = {film: number for number, film in enumerate(self._films)}
        table = catalog.keyframes().select(COLUMNS).combine_chunks()
        films = pc.index_in(table["film"], pc.unique(table["film"])).to_numpy()
        numbers = np.array(
            [self._numbers[f] for f in pc.unique(table["film"]).to_pylist()], np.int64
        )
        film_numbers = numbers[films] if len(films) else np.zeros(0, np.int64)
        self._keys = film_numbers * SHIFT + table["shot"].to_numpy()
        self._ids, self._seconds = table["id"], table["seconds"]
        self._records = table["record"].to_numpy()
        self._reader = functools.lru_cache(MAX_OPEN_FILES)(self._open)
        self._lock = threading.Lock()

    def find_range(self, film: str, first: int, last: int) -> range:
        """Return the indices of the keyframes of shots first..last of a film."""
        number = self._numbers[film] * SHIFT
        low = np.searchsorted(self._keys, number + first, side="left")
        return range(int(low), int(np.searchsorted(self._keys, number + last, side="right")))

    def find_middles(self, films: Sequence[str], first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Return the index of the middle keyframe of each span of shots, int64 `[n]`, -1 for none.

        Args:
          films: film of each span.
          first: first shot of each span.
          last: last shot of each span.
        """
        numbers = np.array([self._numbers[film] for film in films], np.int64) * SHIFT
        low = np.searchsorted(self._keys, numbers + first, side="left")
        high = np.searchsorted(self._keys, numbers + last, side="right")
        return np.where(low < high, (low + high) // 2, -1)

    def id(self, index: int) -> str:
        """Return the id of a keyframe."""
        return self._ids[index].as_py()

    def seconds(self, index: int) -> float:
        """Return the time of a keyframe."""
        return self._seconds[index].as_py()

    def read_jpeg(self, film: str, shot: int, keyframe: int) -> bytes:
        """Read the JPEG file of a keyframe.

        Raises:
          KeyError: there is no such keyframe.
          FileNotFoundError, ValueError: its file is missing or damaged.
        """
        keyframe_id = str(Id(film, shot=shot, keyframe=keyframe))
        indices = self.find_range(film, shot, shot) if film in self._numbers else ()
        index = next((index for index in indices if self.id(index) == keyframe_id), None)
        if index is None:
            raise KeyError(f"the catalog has no keyframe {keyframe_id}")
        with self._lock:  # readers are not safe for several threads
            return self._reader(film)[int(self._records[index])]

    def _open(self, film: str) -> RecordReader:
        return self._catalog.jpegs(film)
