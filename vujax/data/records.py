"""What a source of image-text records is."""

from typing import Any, NotRequired, Protocol, TypedDict

import numpy as np


class Record(TypedDict):
    """One example as its source holds it.

    Attributes:
      key: names the example in messages; unique in its source.
      image: the encoded file (JPEG, PNG, WebP, GIF or BMP), or pixels uint8 `[h w 3]`.
      captions: any number of texts, none for a picture with a class only.
      label: index into the source's `classes`.
      fields: other values the format carries for this example (a JSON object, a table's row).
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
        """The record at `index` in [0, len).

        Raises:
          BadSample: this one record cannot be used; a stream may take another in its place.
          IndexError: `index` is out of range, which is what ends a loop over a source.
        """


class BadSample(ValueError):
    """One unusable record: the message names it, its file, and what is wrong.

    Only what is wrong with the data itself. A disk or network that fails is an OSError and must
    stop the run: it may fail on one host only, and hosts have to agree on every batch.
    """
