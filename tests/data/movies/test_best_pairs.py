"""Selection of the k best of each row: a plain sort, and ties."""

import numpy as np
import pytest

from vujax.data.movies.similarity import hash_ids, hash_pairs, top_k


def plain(scores: np.ndarray, k: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The same by sorting Python tuples."""
    result = np.full((len(scores), k), -1)
    for i, row in enumerate(scores):
        marks = hash_pairs(np.full(len(row), rows[i]), columns) >> np.uint64(20)
        keyed = [
            (round(float(s), 6), int(mark), j)
            for j, (s, mark) in enumerate(zip(row, marks, strict=True))
        ]
        found = [j for s, _, j in sorted(keyed, reverse=True) if s > 0][:k]
        result[i, : len(found)] = found
    return result


@pytest.mark.parametrize("width", [1, 5, 63, 700])
@pytest.mark.parametrize("levels", [1, 3, 10**9])
def test_the_best_are_those_of_a_plain_sort(width: int, levels: int) -> None:
    rng = np.random.default_rng(width)
    scores = (rng.integers(0, levels + 1, (6, width)) / levels).astype(np.float32)
    scores[0] = 0
    rows, columns = hash_ids([f"r{i}" for i in range(6)]), hash_ids([f"c{j}" for j in range(width)])
    index, value = top_k(scores, 4, rows, columns)
    np.testing.assert_array_equal(index, plain(scores, 4, rows, columns))
    there = index >= 0
    np.testing.assert_allclose(
        value[there], np.take_along_axis(scores, np.maximum(index, 0), 1)[there], atol=1e-6
    )
    assert not value[~there].any() and not there[0].any()


def test_what_differs_by_rounding_is_a_tie() -> None:
    rows, columns = hash_ids(["q"]), hash_ids([f"c{j}" for j in range(300)])
    scores = np.full((1, 300), 0.3, np.float32)
    index, _ = top_k(scores, 300, rows, columns)
    noise = np.random.default_rng(0).choice([-3e-8, 0, 3e-8], (1, 300)).astype(np.float32)
    np.testing.assert_array_equal(top_k(scores + noise, 300, rows, columns)[0], index)


def test_ties_favour_nobody() -> None:
    """Of 200 that all tie, each is among the 5 best of about as many: no hubs, no order."""
    names = [f"m{k}" for k in range(200)]
    marks = hash_ids(names)
    index, _ = top_k(np.ones((200, 200), np.float32), 5, marks, marks)
    wins = np.bincount(index.ravel(), minlength=200)
    assert wins.max() <= 15 and wins[:100].sum() == pytest.approx(500, abs=70)
    other, _ = top_k(np.ones((200, 200), np.float32), 5, hash_ids(names, 1), hash_ids(names, 1))
    assert (other != index).mean() > 0.9
