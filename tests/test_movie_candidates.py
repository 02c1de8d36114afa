"""The pure functions of the experiment on guides and candidates."""

import numpy as np
import pytest

from experiments.movie_candidates import BLOCKS, PAIRS, RUNS, expect_greatest, predict, share_labels
from tests.methods.test_linear_guide import GUIDED, residual, world
from vujax.methods.linear_guide import fit_linear_guide


def test_runs_are_in_order_of_blocks_then_seeds_and_none_is_twice() -> None:
    assert len(set(RUNS)) == len(RUNS) == 5 * len(PAIRS)
    block = {pair: place for place, pairs in enumerate(BLOCKS) for pair in pairs}
    places = [(block[guide, n], seed) for guide, n, seed in RUNS]
    assert places == sorted(places)


@pytest.mark.parametrize(("n", "value"), [(1, 0.0), (2, np.pi**-0.5), (4, 1.0294)])
def test_the_greatest_of_normal_numbers(n: int, value: float) -> None:
    assert expect_greatest(n) == pytest.approx(value, abs=2e-3)


def test_labels_of_the_nearest_clip_of_another_movie() -> None:
    """The nearest clip of all is of the same movie, and has all labels."""
    bags = np.array([[0.9, 0.5, 0.1, 0], [0.9, 0.5, 0.1, 0], [0, 0.2, 0.4, 0.6], [1, 0, 0, 0]])
    vectors = np.array([[1, 0], [1, 0.01], [1, 0.1], [-1, 0.0]])
    found = share_labels(np.array([0, 0, 1, 2]), vectors, bags)
    np.testing.assert_allclose(found, [2 / 3, 2 / 3, 2 / 3, 0])


def test_one_candidate_is_the_closed_form_and_more_drown_the_guide() -> None:
    x, movie, similar, hidden = world()
    fitted = fit_linear_guide(x, movie, similar)
    mean, matrix = predict(x, movie, similar, 1)
    want, found = (x - fitted.mean) @ fitted.matrix, (x - mean) @ matrix
    np.testing.assert_allclose(found @ found.T, want @ want.T, atol=1e-4)
    many = (x - mean) @ predict(x, movie, similar, 16)[1]
    assert matrix.shape[1] == GUIDED < many.shape[1]
    weight = [np.mean([1 - residual(h, hidden[:, :GUIDED]) for h in v.T]) for v in (found, many)]
    assert weight[0] > 0.85 > 0.6 > weight[1]
