"""Sequences of like length in batches of one width: the plain alternative to packing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vujax.data.packing import check_lengths


@dataclass(frozen=True, eq=False)
class Buckets:
    """A plan of rows that hold one sequence each; has the methods of `vujax.data.packing.Packing`.

    Attributes:
      lengths: int64 `[n]`, of the sequences.
      widths: int64, of the buckets, in order.
    """

    lengths: np.ndarray
    widths: np.ndarray

    @property
    def widest(self) -> int:
        """The width of the widest rows."""
        return int(self.widths[-1])

    def rows(self, batch_size: int = 1) -> int:
        """How many rows a pass has, those that fill up the last batch of each bucket counted."""
        counts = np.bincount(self._bucket(np.arange(len(self.lengths))))
        return int((-(-counts // batch_size)).sum()) * batch_size

    def width(self, rows: np.ndarray) -> int:
        """Of the rows of a whole batch, `[batch_size 1]`: of the narrowest that its rows fit."""
        return int(self.widths[self._bucket(rows[rows >= 0]).max()])

    def order(self, rng: np.random.Generator | None, batch_size: int = 1) -> np.ndarray:
        """The rows of one pass, int64 `[rows 1]`: batches of one bucket each, -1 for empty rows."""
        n = len(self.lengths)
        drawn = np.arange(n) if rng is None else rng.permutation(n)
        bucket, batches = self._bucket(drawn), []
        for number in np.unique(bucket):
            sequences = drawn[bucket == number]
            filled = np.full(-(-len(sequences) // batch_size) * batch_size, -1, np.int64)
            filled[: len(sequences)] = sequences
            batches.append(filled.reshape(-1, batch_size))
        order = np.concatenate(batches)
        return (order if rng is None else rng.permutation(order)).reshape(-1, 1)

    def _bucket(self, sequences: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.widths, self.lengths[sequences])


def plan_buckets(lengths: Sequence[int] | np.ndarray, widths: Sequence[int]) -> Buckets:
    """Plans rows for sequences of these lengths, each in the narrowest bucket that it fits.

    Raises:
      ValueError: there is no bucket or no sequence, or one fits into no bucket.
    """
    lengths, widths = np.asarray(lengths, np.int64), np.unique(np.asarray(widths, np.int64))
    if not len(widths) or widths[0] < 1:
        raise ValueError(f"buckets {widths.tolist()} are none: give widths from 1 on")
    check_lengths(lengths, int(widths[-1]))
    return Buckets(lengths, widths)
