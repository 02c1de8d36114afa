"""Expansion of file patterns, random reads from many files, and indexes cached on disk."""

import functools
import glob
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vujax.utils.io import check_local, write_array

RANGE = re.compile(r"(\d+)\.\.(\d+)")

BRACES = re.compile(r"\{([^{}]*)\}")

DECOMPRESS = "decompress it and give the result, since records are read at random places"
PACKED = {
    b"PAR1": ("a Parquet table", "write its rows as CSV or pack its images as tar shards"),
    b"PK\x03\x04": ("a zip archive", "unpack it and give its files"),
    b"\x1f\x8b": ("compressed by gzip", DECOMPRESS),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", DECOMPRESS),
    b"\xfd7zXZ": ("compressed by xz", DECOMPRESS),
    b"BZh": ("compressed by bzip2", DECOMPRESS),
}
"""First bytes of files that are no shard and no table, with their name and the remedy."""


def expand_patterns(patterns: str | os.PathLike | Iterable[str | os.PathLike]) -> list[str]:
    """Return the paths of one or several patterns: globs (`a/*.tar`), braces (`a-{000..041}.tar`).

    The files of a glob are sorted and patterns keep their order, so that all hosts agree.

    Raises:
      FileNotFoundError: a pattern matches no file.
      ValueError: a pattern is the address of a bucket.
    """
    if isinstance(patterns, str | os.PathLike):
        patterns = [patterns]
    paths = [path for pattern in patterns for path in _expand(os.fspath(pattern))]
    if not paths:
        raise FileNotFoundError("no file was named: give a path, a glob or a list of them")
    return paths


def _expand(pattern: str) -> Iterator[str]:
    check_local(pattern)
    for name in [pattern] if Path(pattern).exists() else _braces(pattern):
        found = [name] if Path(name).exists() else sorted(glob.glob(name))  # noqa: PTH207
        if not found:
            what = "no such file" if name == glob.escape(name) else "the pattern matches no file"
            raise FileNotFoundError(f"{name}: {what} (working directory {Path.cwd()})")
        yield from found


def _braces(pattern: str) -> Iterator[str]:
    """Expand shell braces: `{a,b}` and `{08..11}`, padded to the width of the start."""
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
    """A file with the size and time it had when it was indexed; reads fail if it has changed."""

    path: str
    size: int
    modified_ns: int

    @classmethod
    def stamp(cls, path: str | os.PathLike) -> "StampedFile":
        """Record size and time of the file at `path`."""
        status = Path(path).stat()
        return cls(os.fspath(path), status.st_size, status.st_mtime_ns)

    def read(self, offset: int, size: int) -> bytes:
        """Read `size` bytes from `offset`, fewer at the end of the file. Thread-safe.

        Raises:
          ValueError: the file has changed.
        """
        return os.pread(_open(self).number, size, offset)


def check_unpacked(file: StampedFile, wanted: str) -> None:
    """Raise unless a file is neither compressed nor of a format of PACKED.

    Args:
      file: to check; its first bytes are read.
      wanted: what it should be, such as 'a tar shard'.

    Raises:
      ValueError: names what it is, and the remedy.
    """
    first = file.read(0, max(map(len, PACKED)))
    for signature, (name, remedy) in PACKED.items():
        if first.startswith(signature):
            raise ValueError(f"{file.path} is {name}, not {wanted}: {remedy}")


class _Descriptor:
    """A file descriptor that closes when the last reading thread releases it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


@functools.lru_cache(maxsize=128)  # a process may read a thousand shards, but not keep all open
def _open(file: StampedFile) -> _Descriptor:
    descriptor = _Descriptor(os.open(file.path, os.O_RDONLY))
    status = os.fstat(descriptor.number)
    if (status.st_size, status.st_mtime_ns) != (file.size, file.modified_ns):
        raise ValueError(f"{file.path} has changed since it was indexed: start again")
    return descriptor


def load_or_build_index(
    file: StampedFile, build: Callable[[StampedFile], np.ndarray], folder: str | None
) -> np.ndarray:
    """Return `build(file)`, int64 `[n 2]`, or its copy in `folder` if the file has not changed.

    Args:
      file: file to index.
      build: reads the file and returns the start and the number of bytes of each record.
      folder: folder of cached indexes; None: no cache.
    """
    if folder is None:
        return build(file)
    # The first row is the stamp by which a changed file is detected.
    stamp = np.array([[file.size, file.modified_ns]], np.int64)
    digest = hashlib.sha1(str(Path(file.path).resolve()).encode()).hexdigest()[:12]
    path = Path(folder) / f"{Path(file.path).name}-{digest}.npy"
    if path.exists():
        cached = np.load(path, allow_pickle=False)
        if np.array_equal(cached[:1], stamp):
            return cached[1:]
    spans = build(file)
    kept = np.concatenate([stamp, spans])
    write_array(path, kept)
    return spans
