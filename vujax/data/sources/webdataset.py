"""WebDataset shards: tar files whose neighbouring members `key.jpg`, `key.txt` ... are one sample.

Also what img2dataset writes. A sample is found again by the span of bytes that its members fill, so
the index is 16 bytes a sample, and reading one is one read.

Reads the headers of tar archives: where each member's bytes are.

Python's tarfile opens members through file objects; here one parser serves both the scan of a whole
shard and the few headers of one sample that has been read into memory. Formats: ustar, GNU (long
names, base-256 sizes) and pax (long names, sizes).
Reference: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from vujax.data.records import BadSample, Record
from vujax.data.sources.files import StampedFile, expand_patterns, load_or_build_index

BLOCK = 512

ZEROS = bytes(BLOCK)

REGULAR = b"0\x007"

BODILESS = b"123456"  # links, devices, folders: no contents follow whatever the size field says

LONG_NAME, PAX, GLOBAL_PAX = b"L", b"x", b"g"

Read = Callable[[int, int], bytes]

"""`(offset, size) -> bytes`, fewer than `size` at the end."""


class Member(NamedTuple):
    """A regular file in an archive; offsets in bytes."""

    name: str
    start: int  # of its first header
    data: int  # of its contents
    size: int
    end: int  # of its last block


class TarError(ValueError):
    """The archive is damaged: `offset` is where, `reason` is what."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(offset, reason)
        self.offset, self.reason = offset, reason

    def __str__(self) -> str:
        return f"at byte {self.offset}: {self.reason}"


def read_members(read: Read, size: int, *, whole: bool = True) -> Iterator[Member]:
    """The regular files of an archive of `size` bytes, in order.

    Args:
      read: gives bytes of the archive.
      size: of the archive.
      whole: False for a part of an archive, which has no end mark.

    Raises:
      TarError: truncated or damaged; members before that place have been given.
    """
    offset, start, ended = 0, 0, False
    special: dict[str, Any] = {}  # what extension headers say of the next member
    while offset < size:
        header = read(offset, BLOCK)
        if header == ZEROS:  # archives joined with cat go on after the first one's end mark
            offset, ended = offset + BLOCK, True
            start = offset
            continue
        kind, length = _parse(header, offset)
        length = 0 if kind in BODILESS else special.get("size", length)
        data, end = offset + BLOCK, offset + BLOCK + -(-length // BLOCK) * BLOCK
        if data + length > size:
            raise TarError(start, "the file ends inside this member (truncated)")
        if kind == LONG_NAME:
            special["name"] = _text(read(data, length))
        elif kind == PAX:
            special |= _pax(read(data, length), offset)
        elif kind != GLOBAL_PAX:
            if kind in REGULAR:
                yield Member(special.get("name", _name(header)), start, data, length, end)
            start, special = end, {}
        offset, ended = end, False
    if whole and not ended:
        raise TarError(size, "the end-of-archive mark is missing (truncated)")


def _parse(header: bytes, offset: int) -> tuple[bytes, int]:
    """`(type, size)` of a header whose checksum is right."""
    if len(header) < BLOCK:
        raise TarError(offset, "the file ends inside a header (truncated)")
    try:
        # The checksum counts its own eight bytes as spaces.
        expected = int(header[148:156].strip(b" \0") or b"0", 8)
        right = sum(header) - sum(header[148:156]) + 8 * 32 == expected
        size = _number(header[124:136])
    except ValueError:
        right = False
    if not right:
        raise TarError(offset, "this is not a tar header (damaged, compressed, or not a tar file)")
    return header[156:157], size


def _number(field: bytes) -> int:
    """Octal text, or GNU's base 256 when the first bit is set."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    return int(field.strip(b" \0") or b"0", 8)


def _name(header: bytes) -> str:
    name = _text(header[:100])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _pax(records: bytes, offset: int) -> dict[str, Any]:
    """The path and the size among pax records, each `LENGTH KEY=VALUE\\n`."""
    found: dict[str, Any] = {}
    try:
        while records.strip(b"\0"):
            length = int(records[: records.index(b" ")])
            key, _, value = records[:length].split(b" ", 1)[1].rstrip(b"\n").partition(b"=")
            if key == b"path":
                found["name"] = value.decode("utf-8", "surrogateescape")
            elif key == b"size":
                found["size"] = int(value)
            records = records[max(length, 1) :]
    except ValueError:
        raise TarError(offset, "the extended header is damaged") from None
    return found


IMAGES = ("jpg", "jpeg", "png", "webp", "gif", "bmp")

SIBLINGS = (".parquet", "_stats.json")  # beside img2dataset's shards

TRUNCATED = ("error", "keep")


class WebDatasetSource:
    """Samples of tar shards in the shards' order.

    Attributes:
      classes: as given, else None.
      lost: shards that are damaged, with the place, when `truncated` is 'keep'.
    """

    def __init__(
        self,
        path: str | Sequence[str],
        *,
        caption_field: str | None = None,
        split_lines: bool = False,
        classes: str | Sequence[str] | None = None,
        truncated: str = "error",
        index_dir: str | None = None,
    ) -> None:
        """Finds all samples: reads every header, or `index_dir`'s copy of an earlier scan.

        Args:
          path: shards; globs and braces, one or several.
          caption_field: a JSON field that holds the caption or a list of captions; None: the .txt.
          split_lines: whether each line of the .txt is a caption of its own.
          classes: names in the order of the .cls labels, or a JSON file that lists them.
          truncated: 'error', or 'keep' to use the whole samples before the damage.
          index_dir: folder for the index, so that a large data set is scanned once.

        Raises:
          FileNotFoundError: a pattern matches nothing.
          ValueError: a shard is truncated, damaged, or its samples' members are not neighbours.
        """
        if truncated not in TRUNCATED:
            raise ValueError(f"truncated '{truncated}' is unknown: use one of {TRUNCATED}")
        self._caption_field, self._split_lines = caption_field, split_lines
        self._truncated = truncated
        self.classes = read_classes(classes)
        self.lost: dict[str, str] = {}
        self._files = [
            StampedFile.stamp(p) for p in expand_patterns(path) if not p.endswith(SIBLINGS)
        ]
        tables = [self._index(file, index_dir) for file in self._files]
        self._spans = np.concatenate([np.zeros((0, 2), np.int64), *tables])
        self._first = np.cumsum([0] + [len(table) for table in tables])

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        file = self._files[int(np.searchsorted(self._first, index, side="right")) - 1]
        key, parts = _read(file, *map(int, self._spans[index]))
        where = f"sample '{key}' of {file.path}"
        name = next((name for name in IMAGES if name in parts), None)
        if name is None:
            found = ", ".join(f".{extension}" for extension in parts)
            raise BadSample(f"{where} has no picture: it holds {found}")
        fields = _json(parts.get("json", b"{}"), where)
        return Record(
            key=key,
            image=parts[name],
            captions=self._captions(parts, fields, where),
            label=self._label(parts.get("cls"), where),
            fields=fields,
        )

    def _captions(self, parts: dict[str, bytes], fields: dict[str, Any], where: str) -> list[str]:
        if self._caption_field is None:
            text = parts.get("txt", b"").decode("utf-8", "replace").strip()
            if self._split_lines:
                return [line.strip() for line in text.split("\n") if line.strip()]
            return [text] if "txt" in parts else []
        if self._caption_field not in fields:
            raise BadSample(
                f"{where} has no JSON field '{self._caption_field}' (caption_field): "
                f"it has {sorted(fields)}"
            )
        value = fields[self._caption_field]
        captions = value if isinstance(value, list) else [value]
        return [str(caption) for caption in captions if caption is not None]

    def _label(self, text: bytes | None, where: str) -> int | None:
        if text is None:
            return None
        try:
            label = int(text)
        except ValueError:
            raise BadSample(f"{where}: its .cls is not a whole number: {text[:20]!r}") from None
        if self.classes is not None and not 0 <= label < len(self.classes):
            raise BadSample(f"{where}: label {label} has no name among {len(self.classes)} classes")
        return label

    def _index(self, file: StampedFile, index_dir: str | None) -> np.ndarray:
        """`[n 2]` int64: where each sample starts and how many bytes it fills."""
        spans: list[tuple[int, int]] = []

        def scan(file: StampedFile) -> np.ndarray:
            spans.extend(_samples(file))
            return _table(spans)

        try:
            return load_or_build_index(file, scan, index_dir)
        except TarError as error:  # a damaged file's index is not kept
            self._give_up(file, error)
            return _table(spans)

    def _give_up(self, file: StampedFile, error: TarError) -> None:
        if self._truncated == "error":
            raise ValueError(
                f"{file.path} {error}; fetch it again, or set truncated='keep' to use the samples "
                "before that place"
            ) from None
        self.lost[file.path] = str(error)
        logging.warning("%s %s; the samples before that place are used", file.path, error)


def read_classes(classes: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Class names as given, or from a JSON file that holds a list of them."""
    if isinstance(classes, str):
        listed = json.loads(Path(classes).read_text("utf-8"))
        if not isinstance(listed, list):
            raise ValueError(f"{classes} must hold a JSON list of class names")
        classes = listed
    return None if classes is None else tuple(map(str, classes))


def split_name(name: str) -> tuple[str, str]:
    """`('a/b', 'jpg')` of 'a/b.jpg'; the extension is all after the first dot of the last part."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return f"{folder}{slash}{stem}", extension.lower()


def _named(archive: Iterator[Member]) -> Iterator[tuple[str, str, Member]]:
    """`(key, extension, member)`, without hidden files and files that have no extension."""
    for member in archive:
        key, extension = split_name(member.name)
        if extension and not key.endswith("/") and key:
            yield key, extension, member


def _samples(file: StampedFile) -> Iterator[tuple[int, int]]:
    """`(start, size)` of each run of members with one key.

    Where the archive is damaged the last run may lack members and is not given.
    """
    seen: set[str] = set()
    last, start, end = None, 0, 0
    for key, _, member in _named(read_members(file.read, file.size)):
        if key != last:
            if key in seen:
                raise ValueError(
                    f"{file.path} at byte {member.start}: key '{key}' comes back after other "
                    "samples, but a sample's members must be neighbours: pack it sorted by name"
                )
            if last is not None:
                yield start, end - start
            seen.add(key)
            last, start = key, member.start
        end = member.end
    if last is not None:
        yield start, end - start


def _table(spans: list[tuple[int, int]]) -> np.ndarray:
    return np.array(spans, np.int64).reshape(-1, 2)


def _read(file: StampedFile, start: int, size: int) -> tuple[str, dict[str, bytes]]:
    """The key and the members' contents by extension."""
    span = file.read(start, size)
    archive = read_members(lambda offset, n: span[offset : offset + n], len(span), whole=False)
    found = list(_named(archive))
    parts = {name: span[m.data : m.data + m.size] for _, name, m in found}
    return found[0][0], parts


def _json(text: bytes, where: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadSample(f"{where}: its .json cannot be read ({error})") from None
    return fields if isinstance(fields, dict) else {}
