"""Sequences of different lengths packed into rows of one width, each of them once a pass.

    packing = pack(lengths, width=64, most=16)
    order = packing.order(np.random.default_rng(0))      # int64 [rows most], -1: none
    packing.padding                                      # share of the rows that holds nothing

The rows are planned from the lengths alone: so many rows of one sequence of 40 and one of 24, so
many of four of 16. A pass then fills the plan with sequences of those lengths, drawn anew, and
shuffles the rows. So all passes have the same number of rows, the place of a row is known without
reading what came before it, and the packing may look at all sequences at once, which leaves far
less padding than first-fit over a window of a shuffled stream. That lengths alone are planned is
from Krell et al., "Efficient Sequence Packing without Cross-contamination" (2021),
arXiv:2107.02027. Ours is another rule than their best fit: from the longest sequence on, each goes
to the emptiest of the fewest rows for which this works. So rows hold about as many sequences each,
which a limit on that number, the places of a row, needs.

The price: a sequence of a rare length meets the same lengths in each pass.

Sequences of like length in batches of one width: the plain alternative to packing.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Pattern = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Packing:
    """A plan of rows.

    Attributes:
      lengths: int64 `[n]`, of the sequences.
      slots: int64 `[rows most]`, length of each place of each row, 0: none; full places first.
      widest: the width of a row.
    """

    lengths: np.ndarray
    slots: np.ndarray
    widest: int

    def rows(self, batch_size: int = 1) -> int:
        """How many rows a pass has."""
        del batch_size  # matters to buckets
        return len(self.slots)

    def width(self, rows: np.ndarray) -> int:
        """Of these rows of a batch."""
        del rows
        return self.widest

    @property
    def padding(self) -> float:
        """Share of the rows' width that holds no sequence."""
        return 1 - int(self.lengths.sum()) / (self.rows() * self.widest)

    def order(self, rng: np.random.Generator | None, batch_size: int = 1) -> np.ndarray:
        """The rows of one pass, int64 `[rows most]`: numbers of sequences, -1 where there is none.

        None for `rng` leaves sequences and rows in the order of the plan.
        """
        del batch_size
        n, rows = len(self.lengths), self.rows()
        drawn = np.arange(n) if rng is None else rng.permutation(n)
        by_length = drawn[np.argsort(self.lengths[drawn], kind="stable")]
        filled = np.full(self.slots.size, -1, np.int64)
        filled[self._places] = by_length
        filled = filled.reshape(self.slots.shape)
        return filled if rng is None else filled[rng.permutation(rows)]

    @cached_property
    def _places(self) -> np.ndarray:
        """The places that are not empty, flat, from the shortest to the longest."""
        flat = self.slots.reshape(-1)
        places = np.argsort(flat, kind="stable")
        return places[np.searchsorted(flat[places], 1) :]


def plan_packing(lengths: Sequence[int] | np.ndarray, *, width: int, most: int) -> Packing:
    """Plans rows for sequences of these lengths.

    Args:
      lengths: `[n]`, each at least 1 and at most `width`.
      width: of a row.
      most: sequences of a row.

    Raises:
      ValueError: there is no sequence, one does not fit into a row, or a size cannot be.
    """
    lengths = np.asarray(lengths, np.int64)
    if width < 1 or most < 1:
        raise ValueError(f"rows of width {width} with at most {most} sequences hold none")
    check_lengths(lengths, width)
    histogram = np.bincount(lengths)
    least = max(-(-int(lengths.sum()) // width), -(-len(lengths) // most))
    more = range(least, len(lengths))  # a row for each sequence always does
    enough = lambda rows: bool(_plan(histogram, rows, width, most))  # noqa: E731
    rows = least + bisect.bisect_left(more, True, key=enough)
    slots = np.zeros((rows, most), np.int64)
    row = 0
    for pattern, count in _plan(histogram, rows, width, most).items():
        slots[row : row + count, : len(pattern)] = pattern
        row += count
    return Packing(lengths, slots, width)


def check_lengths(lengths: np.ndarray, width: int) -> None:
    """Raises unless there are sequences, which fit into rows of this width.

    Raises:
      ValueError: says which length does not.
    """
    if not len(lengths):
        raise ValueError("there is no sequence to pack")
    if lengths.min() < 1 or lengths.max() > width:
        wrong = lengths.min() if lengths.min() < 1 else lengths.max()
        raise ValueError(f"a sequence of length {wrong} does not fit into rows of width {width}")


def _plan(histogram: np.ndarray, rows: int, width: int, most: int) -> dict[Pattern, int]:
    """How many of `rows` rows there are of each pattern of lengths; {} when they are too few."""
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
    lengths, limits = np.asarray(lengths, np.int64), np.unique(np.asarray(widths, np.int64))
    if not len(limits) or limits[0] < 1:
        raise ValueError(f"buckets {limits.tolist()} are none: give widths from 1 on")
    check_lengths(lengths, int(limits[-1]))
    return Buckets(lengths, limits)
