"""Records of image-text sources, the decoding of their texts, and the counter of bad records."""

import codecs
from collections.abc import Sequence
from typing import Any, NotRequired, Protocol, TypedDict

import numpy as np
from absl import logging

IMAGE_FORMATS = {
    "JPEG": ("jpg", "jpeg"),
    "PNG": ("png",),
    "WEBP": ("webp",),
    "GIF": ("gif",),
    "BMP": ("bmp",),
    "AVIF": ("avif",),
}
"""Formats of images by Pillow's names, each with its extensions; Pillow's others run programs or
are never photos."""

IMAGE_EXTENSIONS = tuple(e for extensions in IMAGE_FORMATS.values() for e in extensions)
ASCII_MARKS = "\t\n\r ,\"'0aZ"  # a text encoding extends ASCII if it keeps these


class Record(TypedDict):
    """One example as its source stores it.

    Attributes:
      key: name of the example in messages; unique in its source.
      image: encoded file (JPEG, PNG, WebP, GIF, BMP or AVIF), or pixels uint8 `[h w 3]`.
      captions: any number of texts, none for an image that only has a class.
      label: index into the source's `classes`.
      fields: other values that the format has for this example (a JSON object, a table's row).
    """

    key: str
    image: bytes | np.ndarray
    captions: list[str]
    label: int | None
    fields: NotRequired[dict[str, Any]]


class Source(Protocol):
    """Random access to records; picklable; opens its files on first use in each process."""

    classes: tuple[str, ...] | None

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Record:
        """Return the record at `index` in [0, len).

        Raises:
          BadSample: this record cannot be used; a stream may replace it.
          IndexError: `index` is out of range, which is what ends a loop over a source.
        """


class BadSample(ValueError):
    """One unusable record: the message names it, its file, and the defect.

    Only for defects of the data. A failing disk or network is an OSError and must stop the run: it
    may fail on one host only, and hosts have to agree on every batch.
    """


MIN_EXAMPLES = 1000  # a share of fewer examples means little
MAX_MESSAGES = 20


class BadSampleCounter:
    """Counter of the bad samples that one host met since it started.

    Attributes:
      limit: largest allowed share.
      seen: examples delivered.
      count: records that were replaced, counted each time.
      messages: the first different messages, each naming its record.
    """

    def __init__(self, limit: float) -> None:
        """Allow `limit`, a share of the examples seen (of 1,000 while there are fewer).

        Raises:
          ValueError: `limit` is not a share.
        """
        if not 0.0 <= limit <= 1.0:
            raise ValueError(f"max_bad must be a share of the examples from 0 to 1, got {limit}")
        self.limit, self.seen, self.count = limit, 0, 0
        self.messages: list[str] = []

    def add(self, rows: int, problems: Sequence[str]) -> None:
        """Count a batch of `rows` examples; each new problem is a warning, up to 20 of them."""
        self.seen += rows
        self.count += len(problems)
        for problem in problems:
            if problem not in self.messages and len(self.messages) < MAX_MESSAGES:
                self.messages.append(problem)
                logging.warning("bad sample replaced by another: %s", problem)

    def check(self, count: int | None = None, seen: int | None = None) -> None:
        """Stop the run if too many samples were bad.

        Args:
          count: bad samples of all hosts (the sum of the batches' `bad`), so that all hosts stop at
            the same step; None: those of this host.
          seen: examples of all hosts, with `count`.

        Raises:
          ValueError: there are too many; the message has the first ones of this host.
        """
        count = self.count if count is None else count
        seen = self.seen if seen is None else seen
        if count > self.limit * max(seen, MIN_EXAMPLES):
            messages = "; ".join(self.messages) or "none on this host"
            raise ValueError(
                f"{count} bad samples in {seen} examples are more than max_bad={self.limit} "
                f"allows; repair the data or raise max_bad: {messages}"
            )


def check_encoding(name: str) -> str:
    """Return the encoding's name if Python has it and it extends ASCII.

    Raises:
      ValueError: it is unknown, or has other bytes for ASCII's characters (UTF-16).
    """
    try:
        if codecs.lookup(name).encode(ASCII_MARKS)[0] == ASCII_MARKS.encode("ascii"):
            return name
    except (LookupError, TypeError, ValueError):
        raise ValueError(
            f"unknown encoding {name!r}; expected a name such as 'utf-8' or 'latin-1'"
        ) from None
    raise ValueError(f"encoding {name!r} does not extend ASCII; convert the file to UTF-8")


def decode_text(data: bytes, encoding: str, where: str) -> str:
    """Decode a text, a byte order mark left out.

    Raises:
      BadSample: the bytes are not of the encoding; names the place and the option.
    """
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BadSample(
            f"{where} is not {encoding}: byte {data[error.start]:#04x} at {error.start} "
            "(option encoding)"
        ) from None
