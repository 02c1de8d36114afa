"""Headers of tar archives: the position of each member's bytes.

Python's tarfile opens members through file objects; here one parser serves both the scan of a whole
shard and the few headers of one sample that was read into memory. Formats: ustar, GNU (long names,
base-256 sizes) and pax (long names, sizes).
Reference: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

BLOCK = 512

ZEROS = bytes(BLOCK)

REGULAR = b"0\x007"

BODILESS = b"123456"  # links, devices, folders: no contents follow, whatever the size field

LONG_NAME, PAX, GLOBAL_PAX = b"L", b"x", b"g"

MAX_EXTENSION = 1 << 20
"""Largest extension header, which is read into memory, in bytes."""

OCTAL = re.compile(rb"[ \0]*([0-7]*)[ \0]*")

RECORD_LENGTH = re.compile(rb"([0-9]{1,7}) ")

Read = Callable[[int, int], bytes]
"""`(offset, size) -> bytes`, fewer than `size` at the end."""


class Member(NamedTuple):
    """Byte offsets of a regular file in an archive."""

    name: str
    start: int  # of its first header
    data: int  # of its contents
    size: int
    end: int  # of its last block


class TarError(ValueError):
    """Damage of an archive at a byte offset."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(offset, reason)
        self.offset, self.reason = offset, reason

    def __str__(self) -> str:
        return f"at byte {self.offset}: {self.reason}"


def read_members(read: Read, size: int, *, whole: bool = True) -> Iterator[Member]:
    """Yield the regular files of an archive of `size` bytes, in order.

    Args:
      read: reads bytes of the archive.
      size: size of the archive.
      whole: False for a part of an archive, which has no end mark.

    Raises:
      TarError: the archive is truncated or damaged; the members before that have been yielded.
    """
    offset, start, ended = 0, 0, False
    special: dict[str, Any] = {}  # values that extension headers give for the next member
    while offset < size:
        header = read(offset, BLOCK)
        if header == ZEROS:  # concatenated archives continue after the first end mark
            offset, ended = offset + BLOCK, True
            start = offset
            continue
        kind, length = _parse(header, offset)
        length = 0 if kind in BODILESS else special.get("size", length)
        data, end = offset + BLOCK, offset + BLOCK + -(-length // BLOCK) * BLOCK
        if data + length > size:
            raise TarError(start, "the file ends inside this member (truncated)")
        if kind in (LONG_NAME, PAX) and length > MAX_EXTENSION:
            raise TarError(offset, f"the extended header claims {length} bytes (damaged)")
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
    """Return `(type, size)` of a header, whose checksum is verified."""
    if len(header) < BLOCK:
        raise TarError(offset, "the file ends inside a header (truncated)")
    try:
        # The checksum counts its own eight bytes as spaces.
        expected = _number(header[148:156])
        is_valid = sum(header) - sum(header[148:156]) + 8 * 32 == expected
        size = _number(header[124:136])
    except ValueError:
        is_valid = False
    if not is_valid:
        raise TarError(offset, "this is not a tar header (damaged, compressed, or not a tar file)")
    return header[156:157], size


def _number(field: bytes) -> int:
    """Parse octal text, or GNU's base 256 if the first bit is set.

    Raises:
      ValueError: the field is neither, or negative.
    """
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise ValueError("negative")
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    found = OCTAL.fullmatch(field)
    if found is None:
        raise ValueError("not octal")
    return int(found[1] or b"0", 8)


def _name(header: bytes) -> str:
    name = _text(header[:100])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _pax(records: bytes, offset: int) -> dict[str, Any]:
    """Parse the path and the size among pax records, each `LENGTH KEY=VALUE\\n`."""
    found: dict[str, Any] = {}
    place, end = 0, len(records.rstrip(b"\0"))
    while place < end:
        length = RECORD_LENGTH.match(records, place, end)
        after = place + int(length[1]) if length else 0
        record = records[length.end() : after] if length else b""
        key, equals, value = record.removesuffix(b"\n").partition(b"=")
        is_size = key == b"size"
        if not (equals and record.endswith(b"\n") and after <= end) or (
            is_size and not (value.isdigit() and len(value) < 20)
        ):
            raise TarError(offset, "the extended header is damaged")
        if key == b"path":
            found["name"] = _text(value)
        elif is_size:
            found["size"] = int(value)
        place = after
    return found
