"""Durable, atomic writes of files, folders and tables.

A target appears complete or not at all: it is written under a temporary name beside it, flushed to
the disk and renamed, and the rename is flushed too. After a crash or a power failure a reader finds
the old content or the new one, never a mixture.
"""

import csv
import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vujax.utils.system import get_host_tag, is_process_alive

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

TABLE_SUFFIXES = (".parquet", ".csv", ".jsonl")
REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}[^/]")  # pathlib makes one slash of two


def check_local(path: str | os.PathLike) -> None:
    """Check that a path is not the address of a bucket or of a web page.

    Raises:
      ValueError: it is; without this check it would be a folder named 'gs:'.
    """
    text = os.fspath(path)
    if REMOTE.match(text):
        scheme, _, rest = text.partition(":")
        raise ValueError(
            f"{scheme}://{rest.lstrip('/')} is not on this machine, and vujax reads and writes "
            "files only: mount the bucket (gcsfuse, mountpoint-s3) or copy it, and give the folder"
        )


def write_atomically(path: Path, write: Callable[[Path], Any]) -> Path:
    """Call `write` on a temporary name beside `path`, then rename it to `path`.

    Args:
      path: target; its parents are created.
      write: writes a file at the path that it is given.

    Returns:
      `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        write(temporary)
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_folder_atomically(
    folder: Path, write: Callable[[Path], Any], *, overwrite: bool = False
) -> Path:
    """Call `write` on an empty temporary folder beside `folder`, then rename it to `folder`.

    Args:
      folder: target; its parents are created.
      write: fills the folder that it is given.
      overwrite: True removes an existing target just before the rename.

    Returns:
      `folder`.

    Raises:
      FileExistsError: the target exists and `overwrite` is False.
    """
    if not overwrite and (folder.exists() or folder.is_symlink()):
        raise FileExistsError(f"{folder} exists already; name a new folder, or delete it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(folder)
    temporary.mkdir()
    try:
        write(temporary)
        if overwrite:
            remove_path(folder)
        publish(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def write_text(path: Path, text: str, *, newline: str | None = None) -> Path:
    """Write UTF-8 text atomically; `newline` is that of `open`."""
    return write_atomically(path, lambda p: p.write_text(text, encoding="utf-8", newline=newline))


def write_bytes(path: Path, data: bytes) -> Path:
    """Write bytes atomically."""
    return write_atomically(path, lambda p: p.write_bytes(data))


def write_json(path: Path, value: Any) -> Path:
    """Write indented JSON with sorted keys atomically."""
    return write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_array(path: Path, array: "np.ndarray") -> Path:
    """Write a .npy file atomically."""
    import numpy as np

    def save(temporary: Path) -> None:
        with temporary.open("wb") as file:  # np.save would append .npy to the temporary name
            np.save(file, array, allow_pickle=False)

    return write_atomically(path, save)


def write_parquet(path: Path, table: "pa.Table", **options: Any) -> Path:
    """Write a Parquet file atomically.

    Args:
      path: target.
      table: its content.
      **options: of `pyarrow.parquet.write_table`; compression is zstd unless given.

    Returns:
      `path`.
    """
    import pyarrow.parquet as pq

    options = {"compression": "zstd"} | options
    return write_atomically(path, lambda p: pq.write_table(table, p, **options))


def write_table(path: Path, tables: Iterable["pa.Table"], schema: "pa.Schema") -> Path:
    """Write tables one after the other to a file whose suffix names the format, atomically.

    Args:
      path: `.parquet`, `.csv` (RFC 4180) or `.jsonl` (one object per line, nulls included).
      tables: of this schema; consumed as they are written.
      schema: columns of the file.

    Returns:
      `path`.

    Raises:
      ValueError: unknown suffix.
    """
    suffix = check_table_suffix(path)
    if suffix == ".parquet":
        return write_atomically(path, lambda p: _write_parquet_parts(p, tables, schema))
    rows = (row for table in tables for row in table.to_pylist())
    if suffix == ".csv":
        return write_atomically(path, lambda p: write_csv_rows(p, schema.names, rows))
    return write_atomically(path, lambda p: write_json_lines(p, rows))


def check_table_suffix(path: Path) -> str:
    """Return the suffix of `path` in lower case.

    Raises:
      ValueError: it is none of TABLE_SUFFIXES.
    """
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES)
        raise ValueError(f"{path} has the unknown suffix {suffix!r}; expected one of: {known}")
    return suffix


def _write_parquet_parts(path: Path, tables: Iterable["pa.Table"], schema: "pa.Schema") -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for table in tables:
            file.write_table(table)


def write_csv_rows(path: Path, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows under a header (RFC 4180, UTF-8), one at a time; for `write_atomically`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object per line, one at a time; for `write_atomically`."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def temporary_path(path: Path) -> Path:
    """Return an unused name beside `path` that tells which process uses it."""
    token = f"{secrets.token_hex(4)}@{get_host_tag()}"
    return path.with_name(f".{path.name}.{token}.{os.getpid()}.tmp")


def is_empty_folder(folder: Path) -> bool:
    """Return True if a folder holds nothing but what killed processes left behind."""
    return all(path.name.startswith(".") and path.suffix == ".tmp" for path in folder.iterdir())


def remove_stale_temporaries(folder: Path, name: str = "*") -> None:
    """Remove what killed processes of this host or container left under temporary names.

    Args:
      folder: parent of the targets.
      name: name or glob pattern of the targets.
    """
    for path in folder.glob(f".{name}.*.tmp"):
        *_, token, process, _ = path.name.split(".")
        is_mine = token.partition("@")[2] in ("", get_host_tag())  # 0.1.0 wrote no host
        if is_mine and process.isdecimal() and not is_process_alive(int(process)):
            remove_path(path)


def remove_path(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def publish(temporary: Path, target: Path) -> None:
    """Flush a finished file or folder to the disk and rename it to `target`, durably.

    Raises:
      OSError: `target` is a folder with content, or the file system refuses.
    """
    if temporary.is_dir():
        for folder, _, files in os.walk(temporary, topdown=False):
            for name in files:
                sync_file(Path(folder, name))
            sync_folder(Path(folder))
    else:
        sync_file(temporary)
    temporary.replace(target)
    sync_folder(target.parent)


def sync_file(path: Path) -> None:
    """Flush a file's content to the disk."""
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Flush a folder's entries (creations, renames, removals) to the disk, if the system can."""
    if os.name == "nt":
        return
    try:
        sync_file(path)
    except OSError as error:  # some network file systems do not support it
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
