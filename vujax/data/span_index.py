"""Keeps the index of a large file on disk, so that the next run need not scan it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vujax.data.spans import StampedFile
from vujax.files import write_atomically


def load_or_build(
    file: StampedFile, build: Callable[[StampedFile], np.ndarray], folder: str | None
) -> np.ndarray:
    """`build(file)` `[n 2]` int64, or the copy of it in `folder` if the file has not changed.

    Args:
      file: what is indexed.
      build: reads the file and gives where each record starts and how many bytes it fills.
      folder: None keeps nothing.
    """
    if folder is None:
        return build(file)
    # One row more than the index: the stamp by which a changed file is noticed.
    stamp = np.array([[file.size, file.modified_ns]], np.int64)
    digest = hashlib.sha1(str(Path(file.path).resolve()).encode()).hexdigest()[:12]
    path = Path(folder) / f"{Path(file.path).name}-{digest}.npy"
    if path.exists():
        kept = np.load(path, allow_pickle=False)
        if np.array_equal(kept[:1], stamp):
            return kept[1:]
    spans = build(file)
    kept = np.concatenate([stamp, spans])
    write_atomically(path, lambda temporary: _save(temporary, kept))
    return spans


def _save(path: Path, value: np.ndarray) -> None:
    with path.open("wb") as handle:  # np.save would append .npy to the temporary name
        np.save(handle, value, allow_pickle=False)
