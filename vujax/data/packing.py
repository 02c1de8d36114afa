"""Sequences of different lengths in rows of shots: packed into one width, or in buckets.

    packing = plan_packing(lengths, width=64, most=16)
    order = packing.order(np.random.default_rng(0))      # int64 [rows most], -1: none
    packing.padding                                      # share of the rows that is empty

Rows are planned from the lengths alone: so many rows of one sequence of 40 and one of 24, so many
of four of 16. Each epoch fills the plan with sequences of these lengths in a new random order, and
shuffles the rows. All epochs therefore have the same number of rows, the position of a row is known
without reading what came before it, and the plan takes all sequences into account, which leaves far
less padding than first-fit over a window of a shuffled stream. Planning on lengths alone is from
Krell et al., "Efficient Sequence Packing without Cross-contamination" (2021), arXiv:2107.02027.
Instead of their best fit we go from the longest sequence on, and put each into the emptiest of the
fewest rows for which this works. Rows then hold similar numbers of sequences, which a limit on that
number requires.

The drawback is that a sequence of a rare length meets the same lengths in each epoch.

Buckets, the plain alternative to packing, make batches of sequences of similar length.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Pattern = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Packing:
    """A plan of rows that hold several sequences.

    Attributes:
      lengths: int64 `[n]`, lengths of the sequences.
      slots: int64 `[rows most]`, length of each slot of each row, 0: empty; full slots first.
      widest: width of a row.
    """

    lengths: np.ndarray
    slots: np.ndarray
    widest: int

    def rows(self, batch_size: int = 1) -> int:
        """Return the number of rows of an epoch."""
        del batch_size  # matters to buckets
        return len(self.slots)

    def width(self, rows: np.ndarray) -> int:
        """Return the width of these rows of a batch."""
        del rows
        return self.widest

    @property
    def padding(self) -> float:
        """Share of the rows' width that holds no sequence."""
        return 1 - int(self.lengths.sum()) / (self.rows() * self.widest)

    def order(self, rng: np.random.Generator | None, batch_size: int = 1) -> np.ndarray:
        """Return the rows of an epoch, int64 `[rows most]`: numbers of sequences, -1 for none.

        Without `rng`, sequences and rows are in the order of the plan.
        """
        del batch_size
        n, rows = len(self.lengths), self.rows()
        drawn = np.arange(n) if rng is None else rng.permutation(n)
        by_length = drawn[np.argsort(self.lengths[drawn], kind="stable")]
        filled = np.full(self.slots.size, -1, np.int64)
        filled[self._full_slots] = by_length
        filled = filled.reshape(self.slots.shape)
        return filled if rng is None else filled[rng.permutation(rows)]

    @cached_property
    def _full_slots(self) -> np.ndarray:
        """Flat indices of the slots that are not empty, from the shortest to the longest."""
        flat = self.slots.reshape(-1)
        order = np.argsort(flat, kind="stable")
        return order[np.searchsorted(flat[order], 1) :]


@dataclass(frozen=True, eq=False)
class Buckets:
    """A plan of rows that hold one sequence each; has the methods of `Packing`.

    Attributes:
      lengths: int64 `[n]`, lengths of the sequences.
      widths: int64, widths of the buckets, in order.
    """

    lengths: np.ndarray
    widths: np.ndarray

    @property
    def widest(self) -> int:
        """Width of the widest rows."""
        return int(self.widths[-1])

    def rows(self, batch_size: int = 1) -> int:
        """Return the number of rows of an epoch, with those that fill each bucket's last batch."""
        counts = np.bincount(self._bucket(np.arange(len(self.lengths))))
        return int((-(-counts // batch_size)).sum()) * batch_size

    def width(self, rows: np.ndarray) -> int:
        """Return the width of the narrowest bucket for a whole batch, `[batch_size 1]`."""
        return int(self.widths[self._bucket(rows[rows >= 0]).max()])

    def order(self, rng: np.random.Generator | None, batch_size: int = 1) -> np.ndarray:
        """Return the rows of an epoch, int64 `[rows 1]`: batches of one bucket, -1 for none."""
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


def plan_packing(lengths: Sequence[int] | np.ndarray, *, width: int, most: int) -> Packing:
    """Plan rows that hold several sequences of these lengths.

    Args:
      lengths: `[n]`, each at least 1 and at most `width`.
      width: width of a row.
      most: maximum number of sequences of a row.

    Raises:
      ValueError: there is no sequence, one does not fit into a row, or a size is not positive.
    """
    lengths = np.asarray(lengths, np.int64)
    if width < 1 or most < 1:
        raise ValueError(f"width and most must be at least 1, got {width} and {most}")
    check_lengths(lengths, width)
    histogram = np.bincount(lengths)
    fewest = max(-(-int(lengths.sum()) // width), -(-len(lengths) // most))
    candidates = range(fewest, len(lengths))  # a row for each sequence always suffices
    suffices = lambda rows: bool(_plan(histogram, rows, width, most))  # noqa: E731
    rows = fewest + bisect.bisect_left(candidates, True, key=suffices)
    slots = np.zeros((rows, most), np.int64)
    row = 0
    for pattern, count in _plan(histogram, rows, width, most).items():
        slots[row : row + count, : len(pattern)] = pattern
        row += count
    return Packing(lengths, slots, width)


def plan_buckets(lengths: Sequence[int] | np.ndarray, widths: Sequence[int]) -> Buckets:
    """Plan rows of one sequence each, every sequence in the narrowest bucket that it fits.

    Raises:
      ValueError: there is no bucket or no sequence, or one fits into no bucket.
    """
    lengths, limits = np.asarray(lengths, np.int64), np.unique(np.asarray(widths, np.int64))
    if not len(limits) or limits[0] < 1:
        raise ValueError(f"buckets must be widths of at least 1, got {limits.tolist()}")
    check_lengths(lengths, int(limits[-1]))
    return Buckets(lengths, limits)


def check_lengths(lengths: np.ndarray, width: int) -> None:
    """Check that there are sequences, and that each fits into a row of this width.

    Raises:
      ValueError: there is none, or one does not fit.
    """
    if not len(lengths):
        raise ValueError("there is no sequence to pack")
    if lengths.min() < 1 or lengths.max() > width:
        wrong = lengths.min() if lengths.min() < 1 else lengths.max()
        raise ValueError(f"a sequence of length {wrong} does not fit into rows of width {width}")


def _plan(histogram: np.ndarray, rows: int, width: int, most: int) -> dict[Pattern, int]:
    """Return the number of rows of each pattern of lengths; {} if `rows` rows do not suffice."""
    groups: dict[Pattern, int] = {(): rows}
    for length in range(len(histogram) - 1, 0, -1):
        left = int(histogram[length])
        while left:
            pattern = min((p for p in groups if len(p) < most), key=_fullness, default=None)
            if pattern is None or sum(pattern) + length > width:
                return {}
            taken = min(groups[pattern], left)
            left -= taken
            groups[pattern] -= taken
            if not groups[pattern]:
                del groups[pattern]
            fuller = (*pattern, length)
            groups[fuller] = groups.get(fuller, 0) + taken
    return groups


def _fullness(pattern: Pattern) -> tuple[int, int]:
    return sum(pattern), len(pattern)
