"""ArrayRecord files of our own records: the form to train from (see `vujax.data.example`)."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from grain.sources import ArrayRecordDataSource

from vujax.data import example
from vujax.data.records import BadSample, Record
from vujax.data.spans import expand

MANIFEST = "dataset.json"
"""What the converter writes beside the files: class names, counts, where the records came from."""


class ArrayRecordSource:
    """Records in the order of the files.

    Attributes:
      classes: from the `dataset.json` beside the first file, if there is one.
    """

    def __init__(self, path: str | Sequence[str]) -> None:
        """Reads every file's record count.

        Args:
          path: the files (globs and braces, one or several), or the folder that the converter made.

        Raises:
          FileNotFoundError: a pattern matches nothing.
          ValueError: a file is damaged, or its conversion was not finished.
        """
        if isinstance(path, str) and Path(path).is_dir():
            path = f"{path}/*.array_record"
        self._paths = expand(path)
        self.classes = _classes(Path(self._paths[0]).with_name(MANIFEST))
        with ThreadPoolExecutor(16) as pool:  # remote disks answer slowly, but many at once
            self._files = list(pool.map(_open, self._paths))
        self._first = np.cumsum([0] + [len(file) for file in self._files])

    def __len__(self) -> int:
        return int(self._first[-1])

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        number = int(np.searchsorted(self._first, index, side="right")) - 1
        place = int(index - self._first[number])
        try:
            return example.decode(self._files[number][place])
        except (RuntimeError, BadSample) as error:
            # RuntimeError: the bytes of this record do not match their checksum.
            raise BadSample(f"record {place} of {self._paths[number]}: {error}") from None


def _open(path: str) -> Any:
    try:
        return ArrayRecordDataSource([path])
    except RuntimeError as error:
        raise ValueError(
            f"{path} is not a whole ArrayRecord file ({error}): convert or fetch it again"
        ) from None


def _classes(manifest: Path) -> tuple[str, ...] | None:
    if not manifest.exists():
        return None
    facts = json.loads(manifest.read_text("utf-8"))
    if not facts["complete"]:
        raise ValueError(f"{manifest.parent} was not converted to the end: run the converter again")
    return None if facts["classes"] is None else tuple(facts["classes"])
