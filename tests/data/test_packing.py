"""Packing of sequences into rows: nothing lost, nothing twice, little padding."""

import numpy as np
import pytest

from vujax.data.packing import plan_packing


def check(lengths: np.ndarray, width: int, most: int) -> None:
    packing = plan_packing(lengths, width=width, most=most)
    for rng in (None, np.random.default_rng(3)):
        rows = packing.order(rng)
        assert rows.shape == (packing.rows(), most)
        used = rows[rows >= 0]
        assert sorted(used.tolist()) == list(range(len(lengths)))
        filled = np.where(rows >= 0, lengths[rows], 0).sum(axis=1)
        assert filled.min() >= 1 and filled.max() <= width
        assert ((rows[:, :-1] >= 0) | (rows[:, 1:] < 0)).all()  # full places come first
    assert packing.padding == pytest.approx(1 - lengths.sum() / (packing.rows() * width))


@pytest.mark.parametrize("seed", range(12))
def test_every_sequence_once_and_no_row_too_full(seed):
    rng = np.random.default_rng(seed)
    width = int(rng.integers(1, 30))
    lengths = rng.integers(1, width + 1, int(rng.integers(1, 200)))
    for most in (1, 2, 5, 30):
        check(lengths, width, most)


def best_fit(lengths: np.ndarray, width: int, most: int) -> int:
    """Rows of best-fit decreasing, one sequence after the other."""
    rows: list[list[int]] = []  # of each: space, places
    for length in sorted(lengths.tolist(), reverse=True):
        fitting = [row for row in rows if row[0] >= length and row[1]]
        row = min(fitting, key=lambda row: row[0], default=None)
        if row is None:
            rows.append(row := [width, most])
        row[0] -= length
        row[1] -= 1
    return len(rows)


@pytest.mark.parametrize(("most", "share"), [(64, 1.0), (12, 0.9)])
def test_no_more_rows_than_best_fit_and_fewer_where_places_are_few(most, share):
    lengths = np.minimum(np.random.default_rng(0).geometric(0.2, 600), 64)
    lengths[:100] = 1  # as where half of all scenes have a shot or two
    rows = plan_packing(lengths, width=64, most=most).rows()
    assert rows <= share * best_fit(lengths, 64, most)
    assert rows >= max(lengths.sum() / 64, 600 / most)


def test_little_padding_where_the_lengths_allow_it():
    lengths = np.minimum(np.random.default_rng(0).geometric(0.18, 20000), 64)
    assert plan_packing(lengths, width=64, most=64).padding < 0.001
    assert plan_packing(lengths, width=64, most=1).padding > 0.9


def test_passes_differ_and_have_as_many_rows():
    lengths = np.random.default_rng(0).integers(1, 9, 300)
    packing = plan_packing(lengths, width=16, most=4)
    one, two = (packing.order(np.random.default_rng(seed)) for seed in (1, 2))
    assert one.shape == two.shape and (one != two).any()
    mates = [{frozenset(row[row >= 0].tolist()) for row in order} for order in (one, two)]
    assert len(mates[0] & mates[1]) < packing.rows() / 4  # not merely the rows are shuffled
    np.testing.assert_array_equal(one, packing.order(np.random.default_rng(1)))


def test_rows_are_in_another_order_in_every_pass():
    lengths = np.arange(1, 21)  # all different: a row is known by the lengths in it
    packing = plan_packing(lengths, width=20, most=2)
    orders = []
    for seed in (None, 1, 2):
        rows = packing.order(None if seed is None else np.random.default_rng(seed))
        orders.append([tuple(sorted(lengths[row[row >= 0]].tolist())) for row in rows])
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1] != orders[2] != orders[0]


@pytest.mark.parametrize(
    ("lengths", "sizes", "words"),
    [
        ([], dict(width=4, most=1), "no sequence"),
        ([3, 0], dict(width=4, most=1), "length 0 does not fit"),
        ([3, 5], dict(width=4, most=1), "length 5 does not fit into rows of width 4"),
        ([3], dict(width=4, most=0), "width and most must be at least 1, got 4 and 0"),
    ],
)
def test_what_cannot_be_packed(lengths, sizes, words):
    with pytest.raises(ValueError, match=words):
        plan_packing(lengths, **sizes)
