"""Files named by patterns, and random reads from many of them with few descriptors.

Keeps the index of a large file on disk, so that the next run need not scan it.
"""

import functools
import glob
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vujax.utils.io import write_array

RANGE = re.compile(r"(\d+)\.\.(\d+)")

BRACES = re.compile(r"\{([^{}]*)\}")


def expand_patterns(patterns: str | os.PathLike | Iterable[str | os.PathLike]) -> list[str]:
    """Paths for one or several patterns: globs (`a/*.tar`) and braces (`a-{000..041}.tar`).

    Each glob's files come sorted and patterns keep their order, so all hosts agree.

    Raises:
      FileNotFoundError: a pattern matches nothing.
    """
    if isinstance(patterns, str | os.PathLike):
        patterns = [patterns]
    paths = [path for pattern in patterns for path in _expand(os.fspath(pattern))]
    if not paths:
        raise FileNotFoundError("no file was named: give a path, a glob or a list of them")
    return paths


def _expand(pattern: str) -> Iterator[str]:
    for name in [pattern] if Path(pattern).exists() else _braces(pattern):
        found = [name] if Path(name).exists() else sorted(glob.glob(name))  # noqa: PTH207
        if not found:
            what = "no such file" if name == glob.escape(name) else "the pattern matches no file"
            raise FileNotFoundError(f"{name}: {what} (working directory {Path.cwd()})")
        yield from found


def _braces(pattern: str) -> Iterator[str]:
    """Shell braces: `{a,b}` and `{08..11}`, whose width is that of its start."""
    match = BRACES.search(pattern)
    if match is None:
        yield pattern
        return
    body = match[1]
    if numbers := RANGE.fullmatch(body):
        first, last, width = int(numbers[1]), int(numbers[2]), len(numbers[1])
        choices = [f"{n:0{width}d}" for n in range(first, last + 1)]
    else:
        choices = body.split(",")
    for choice in choices:
        yield from _braces(pattern[: match.start()] + choice + pattern[match.end() :])


@dataclass(frozen=True)
class StampedFile:
    """A file as it was when it was indexed; reads fail if it has changed since."""

    path: str
    size: int
    modified_ns: int

    @classmethod
    def stamp(cls, path: str | os.PathLike) -> "StampedFile":
        """Stamps the file at `path`."""
        status = Path(path).stat()
        return cls(os.fspath(path), status.st_size, status.st_mtime_ns)

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`; fewer at the end of the file. Safe in threads.

        Raises:
          ValueError: the file is not the one that was stamped.
        """
        return os.pread(_open(self).number, size, offset)


class _Descriptor:
    """Closes itself when the last thread that reads lets go of it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


@functools.lru_cache(maxsize=128)  # a process may read a thousand shards but not hold them all open
def _open(file: StampedFile) -> _Descriptor:
    descriptor = _Descriptor(os.open(file.path, os.O_RDONLY))
    status = os.fstat(descriptor.number)
    if (status.st_size, status.st_mtime_ns) != (file.size, file.modified_ns):
        raise ValueError(f"{file.path} has changed since it was indexed: start again")
    return descriptor


def load_or_build_index(
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
    write_array(path, kept)
    return spans
