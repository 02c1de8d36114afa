"""What a source of image-text records is.

Counts samples that had to be replaced, names them, and stops when there are too many.
"""

from collections.abc import Sequence
from typing import Any, NotRequired, Protocol, TypedDict

import numpy as np
from absl import logging


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


MIN_EXAMPLES = 1000  # examples over which a share begins to mean something

MAX_MESSAGES = 20


class BadSampleCounter:
    """The bad samples that one host met since it started.

    Attributes:
      seen: examples delivered.
      count: records that were replaced on the way, each time anew.
      names: the first different messages, each naming its record.
    """

    def __init__(self, limit: float) -> None:
        """Allows `limit`, a share of the examples seen (of 1,000 while fewer have been seen).

        Raises:
          ValueError: `limit` is not a share.
        """
        if not 0.0 <= limit <= 1.0:
            raise ValueError(f"max_bad must be a share of the examples from 0 to 1, not {limit}")
        self.limit, self.seen, self.count = limit, 0, 0
        self.names: list[str] = []

    def add(self, rows: int, problems: Sequence[str]) -> None:
        """Counts a batch of `rows` examples; each new problem is a warning, up to 20 of them."""
        self.seen += rows
        self.count += len(problems)
        for problem in problems:
            if problem not in self.names and len(self.names) < MAX_MESSAGES:
                self.names.append(problem)
                logging.warning("bad sample replaced by another: %s", problem)

    def check(self, count: int | None = None, seen: int | None = None) -> None:
        """Stops the run when too many samples were bad.

        Args:
          count: bad samples of all hosts (the sum of the batches' `bad`), so that all hosts stop at
            the same step; None: this host's.
          seen: examples of all hosts, with `count`.

        Raises:
          ValueError: too many; the message names this host's first ones.
        """
        count = self.count if count is None else count
        seen = self.seen if seen is None else seen
        if count > self.limit * max(seen, MIN_EXAMPLES):
            raise ValueError(
                f"{count} bad samples in {seen} examples are more than max_bad={self.limit} "
                f"allows; mend the data or raise max_bad. {'; '.join(self.names) or 'None here.'}"
            )
