"""ArrayRecord files of our own records: the form to train from (see
`vujax.data.sources.array_record`).

How one record is written as bytes: a JSON header before the encoded picture.

Layout: b"VJX1", the header's length (uint32, little endian), the header (a UTF-8 JSON object with
`key`, `captions`, `label`, `fields`), the picture's file (JPEG, PNG ...) until the end. It can be
read in any language, and reading it runs no code.

Writes any source as ArrayRecord shards, which a later run of the same conversion completes.
"""

import io
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter
from grain.sources import ArrayRecordDataSource
from PIL import Image

from vujax.data.records import BadSample, BadSampleCounter, Record, Source
from vujax.data.sources.files import expand_patterns
from vujax.utils.io import write_atomically, write_json

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
        self._paths = expand_patterns(path)
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
            return decode_record(self._files[number][place])
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


MAGIC = b"VJX1"

PREFIX = struct.Struct("<4sI")


def encode_record(record: Record) -> bytes:
    """The bytes of a record; pixels are kept without loss, as PNG."""
    header = {name: record[name] for name in ("key", "captions", "label")}
    header["fields"] = record.get("fields", {})
    text = json.dumps(header, ensure_ascii=False).encode()
    image = record["image"]
    content = image if isinstance(image, bytes) else encode_png(image)
    return PREFIX.pack(MAGIC, len(text)) + text + content


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG file of uint8 `[h w 3]`."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def decode_record(data: bytes) -> Record:
    """The record that `encode` wrote.

    Raises:
      BadSample: these are other bytes.
    """
    try:
        magic, length = PREFIX.unpack_from(data)
        if magic != MAGIC:
            raise ValueError("it does not begin with VJX1")
        end = PREFIX.size + length
        header = json.loads(data[PREFIX.size : end])
        return Record(
            key=header["key"],
            image=data[end:],
            captions=header["captions"],
            label=header["label"],
            fields=header["fields"],
        )
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise BadSample(
            f"not a record that tools/to_array_record.py wrote ({error}): convert the source again"
        ) from None


# group_size 1: each record is read on its own. Pictures are compressed already.
WRITER_OPTIONS = "group_size:1,uncompressed"


def convert_source(
    source: Source,
    folder: Path,
    *,
    origin: Mapping[str, Any],
    shard_size: int = 10_000,
    max_bad: float = 0.01,
    progress: Callable[[int], Any] = lambda records: None,
) -> dict[str, Any]:
    """Writes `folder/data-00000-of-0000N.array_record` ... and `folder/dataset.json`.

    Each file appears whole or not at all. Shards that an earlier, interrupted call finished are
    kept. Records that cannot be read are left out, counted and named in dataset.json.

    Args:
      source: what to write.
      folder: new, or that of an interrupted call with the same arguments.
      origin: what the source was opened with, kept in dataset.json.
      shard_size: records of `source` for each file.
      max_bad: greatest share of unreadable records.
      progress: called with the number of records done since the last call.

    Returns:
      The contents of dataset.json.

    Raises:
      ValueError: the folder holds another conversion, or too many records are bad.
    """
    facts = _start(source, folder, origin, shard_size)
    shards = -(-len(source) // shard_size)
    bad = BadSampleCounter(max_bad)
    for shard in range(shards):
        name = f"data-{shard:05d}-of-{shards:05d}.array_record"
        span = range(shard * shard_size, min((shard + 1) * shard_size, len(source)))
        if name not in facts["written"] or not (folder / name).exists():
            problems: list[str] = []
            write_atomically(folder / name, lambda p, s=span, b=problems: _write(source, s, p, b))
            bad.add(len(span), problems)
            bad.check()
            facts["written"][name] = len(span) - len(problems)
            facts["bad"][name] = problems
            write_json(folder / MANIFEST, facts)
        progress(len(span))
    facts["complete"] = True
    write_json(folder / MANIFEST, facts)
    return facts


def _start(
    source: Source, folder: Path, origin: Mapping[str, Any], shard_size: int
) -> dict[str, Any]:
    """The manifest of this conversion: a new one, or the one that is in the folder."""
    plan = {
        "format": "vujax example 1 (vujax/data/sources/array_record.py)",
        "origin": json.loads(json.dumps(origin)),
        "records": len(source),
        "shard_size": shard_size,
        "classes": None if source.classes is None else list(source.classes),
    }
    path = folder / MANIFEST
    facts = {**plan, "complete": False, "written": {}, "bad": {}}
    if not path.exists():
        write_json(path, facts)
        return facts
    found = json.loads(path.read_text("utf-8"))
    if different := [key for key, value in plan.items() if found.get(key) != value]:
        raise ValueError(
            f"{folder} holds another conversion ({', '.join(different)} differ): use an empty one"
        )
    return found


def _write(source: Source, span: range, path: Path, problems: list[str]) -> None:
    writer = ArrayRecordWriter(str(path), WRITER_OPTIONS)
    try:
        for index in span:
            try:
                record = source[index]
            except BadSample as error:
                problems.append(str(error))
                continue
            writer.write(encode_record(record))
    finally:
        writer.close()
