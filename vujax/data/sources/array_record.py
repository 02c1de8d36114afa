"""ArrayRecord shards of image-text records, and the conversion of any source to them.

A record is b"VJX1", the length of the header (uint32, little endian), the header (a UTF-8 JSON
object with `key`, `captions`, `label`, `fields`), and the image file (JPEG, PNG ...) until the end.
Records can be read in any language, and reading them executes no code.
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
"""Name of the file beside the shards with class names, counts and the origin of the records."""

MAGIC = b"VJX1"
PREFIX = struct.Struct("<4sI")

# group_size 1: records are read one by one. Images are already compressed.
WRITER_OPTIONS = "group_size:1,uncompressed"


class ArrayRecordSource:
    """Records of ArrayRecord shards, in the order of the files.

    Attributes:
      classes: class names in the `dataset.json` beside the first file, if it exists.
    """

    def __init__(self, path: str | Sequence[str]) -> None:
        """Read the number of records of every file.

        Args:
          path: files (one or several globs or brace patterns), or a folder of `convert_source`.

        Raises:
          FileNotFoundError: a pattern matches no file.
          ValueError: a file is damaged, or its conversion was not finished.
        """
        if isinstance(path, str) and Path(path).is_dir():
            path = f"{path}/*.array_record"
        self._paths = expand_patterns(path)
        self.classes = _classes(Path(self._paths[0]).with_name(MANIFEST))
        with ThreadPoolExecutor(16) as pool:  # remote disks have high latency
            self._files = list(pool.map(_open, self._paths))
        self._first = np.cumsum([0] + [len(file) for file in self._files])

    def __len__(self) -> int:
        return int(self._first[-1])

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        number = int(np.searchsorted(self._first, index, side="right")) - 1
        local = int(index - self._first[number])
        try:
            return decode_record(self._files[number][local])
        except (RuntimeError, BadSample) as error:
            # RuntimeError: the checksum of this record is wrong.
            raise BadSample(f"record {local} of {self._paths[number]}: {error}") from None


def convert_source(
    source: Source,
    folder: Path,
    *,
    origin: Mapping[str, Any],
    shard_size: int = 10_000,
    max_bad: float = 0.01,
    progress: Callable[[int], Any] = lambda records: None,
) -> dict[str, Any]:
    """Write `folder/data-00000-of-0000N.array_record` ... and `folder/dataset.json`.

    Each file is written atomically, and shards of an earlier, interrupted call are kept. Records
    that cannot be read are left out, counted and named in dataset.json.

    Args:
      source: records to write.
      folder: new folder, or that of an interrupted call with the same arguments.
      origin: options of the source, recorded in dataset.json.
      shard_size: records of `source` per file.
      max_bad: largest allowed share of unreadable records.
      progress: called with the number of records done since the last call.

    Returns:
      The contents of dataset.json.

    Raises:
      ValueError: the folder has another conversion, or too many records are bad.
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


def encode_record(record: Record) -> bytes:
    """Encode a record; pixels become a lossless PNG."""
    header = {name: record[name] for name in ("key", "captions", "label")}
    header["fields"] = record.get("fields", {})
    text = json.dumps(header, ensure_ascii=False).encode()
    image = record["image"]
    content = image if isinstance(image, bytes) else encode_png(image)
    return PREFIX.pack(MAGIC, len(text)) + text + content


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode uint8 `[h w 3]` as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def decode_record(data: bytes) -> Record:
    """Decode a record of `encode_record`.

    Raises:
      BadSample: the bytes are not such a record.
    """
    try:
        magic, length = PREFIX.unpack_from(data)
        if magic != MAGIC:
            raise ValueError("it does not start with VJX1")
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
            f"not a record of tools/to_array_record.py ({error}): convert the source again"
        ) from None


def _open(path: str) -> Any:
    try:
        return ArrayRecordDataSource([path])
    except RuntimeError as error:
        raise ValueError(
            f"{path} is not a complete ArrayRecord file ({error}): convert or fetch it again"
        ) from None


def _classes(manifest: Path) -> tuple[str, ...] | None:
    if not manifest.exists():
        return None
    facts = json.loads(manifest.read_text("utf-8"))
    if not facts["complete"]:
        raise ValueError(f"{manifest.parent} was not fully converted: run the converter again")
    return None if facts["classes"] is None else tuple(facts["classes"])


def _start(
    source: Source, folder: Path, origin: Mapping[str, Any], shard_size: int
) -> dict[str, Any]:
    """Return the manifest of this conversion, new or as in the folder."""
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
            f"{folder} has another conversion ({', '.join(different)} differ): use an empty folder"
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
