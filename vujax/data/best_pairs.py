"""The k best of each row of scores, ties broken by a hash of the two ids.

Ties are common: 1,204 real movies have only 227 different sets of genres. Breaking them by place or
by one hash for each movie would give all the comedies the same few neighbours, and make these few
the positives of everything. A hash of the PAIR is as good as a draw, and depends neither on the
order of the table nor on what else is in it.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

STEPS = 10**6  # scores are rounded to 6 decimals: sums in another order differ by less
HASH_BITS = 44  # the other 20 hold a score's step
GROUP = 64  # columns whose highest score is taken at once: k such are a bound of the k best


def hashes(ids: Sequence[str], seed: int = 0) -> np.ndarray:
    """A uint64 for each id, `[n]`."""
    digests = [hashlib.blake2b(f"{seed}/{one}".encode(), digest_size=8).digest() for one in ids]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def pair_hash(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A uint64 for each pair of hashes, by the mixing function of SplitMix64.

    Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014).
    """
    mixed = np.asarray(first) + np.uint64(0x9E3779B97F4A7C15) * np.asarray(second)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def best(
    scores: np.ndarray, k: int, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The k highest scores of each row that are above 0, highest first.

    Args:
      scores: float32 `[b n]` within 0..1.
      k: how many.
      rows: uint64 `[b]`, hashes of what the rows are of.
      columns: uint64 `[n]`, of the columns.

    Returns:
      Their columns, int32 `[b k]`, -1 where there are no more; scores, float32 `[b k]`, 0 there.
    """
    index = np.full((len(scores), k), -1, np.int32)
    value = np.zeros((len(scores), k), np.float32)
    for row, mark in enumerate(rows):
        near, ranks = _near(scores[row], k, mark, columns)
        if len(near) > k:
            chosen = np.argpartition(ranks, len(ranks) - k)[-k:]
            near, ranks = near[chosen], ranks[chosen]
        order = np.argsort(ranks)[::-1]
        index[row, : len(near)] = near[order]
        value[row, : len(near)] = (ranks[order] >> np.uint64(HASH_BITS)) / STEPS
    return index, value


def _near(
    scores: np.ndarray, k: int, mark: np.uint64, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Columns with the k best among them, and numbers that rank these: score, then hash."""
    near = np.flatnonzero(scores >= max(_bound(scores, k), 0.501) / STEPS)  # rounds above 0
    score = np.rint(scores[near].astype(np.float64) * STEPS).astype(np.uint64)
    hashed = pair_hash(np.full(len(near), mark), columns[near])
    return near, (score << np.uint64(HASH_BITS)) | (hashed >> np.uint64(64 - HASH_BITS))


def _bound(scores: np.ndarray, k: int) -> float:
    """In steps: no score of the k best, nor one that ties with them, is below it."""
    groups = len(scores) // GROUP
    if groups < k:
        return 0.0
    highest = scores[: groups * GROUP].reshape(groups, GROUP).max(axis=1)
    return float(np.partition(highest, groups - k)[groups - k]) * STEPS - 1
