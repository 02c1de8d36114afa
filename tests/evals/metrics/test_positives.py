"""Nearest positives against a dense search, and islands by hand."""

import numpy as np
import pytest

from vujax.evals.metrics.positives import count_islands, measure_positives, select_nearest


@pytest.mark.parametrize(("shots", "neighbours"), [(2, 1), (3, 8), (40, 1), (40, 4)])
def test_the_most_similar_neighbor(shots, neighbours):
    vectors = np.random.default_rng(0).normal(size=(shots, 5))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    positive, cosine = select_nearest(vectors, neighbours)
    for i in range(shots):
        near = range(max(0, i - neighbours), min(shots, i + neighbours + 1))
        others = [j for j in near if j != i]
        assert positive[i] == max(others, key=lambda j: unit[i] @ unit[j])
        assert cosine[i] == pytest.approx(unit[i] @ unit[positive[i]], abs=1e-5)


def test_islands():
    assert count_islands(np.array([1, 0, 3, 2])) == 2
    assert count_islands(np.array([1, 2, 3, 2])) == 1
    assert count_islands(np.array([2, 3, 0, 1, 2, 3])) == 2


def test_shot_and_reverse_shot_are_two_islands_of_near_copies():
    film = np.tile(np.eye(2), (10, 1)) + 0.01 * np.random.default_rng(0).normal(size=(20, 2))
    found = measure_positives([film, np.ones((1, 2))], neighbours=4)
    assert found["near_copies"] == found["even_lags"] == 1
    assert found["islands"] >= 10  # two of 20 shots at least
    found = measure_positives([film], neighbours=1)
    assert found["near_copies"] == found["even_lags"] == 0
    assert np.isnan(measure_positives([np.ones((1, 2))], neighbours=1)["islands"])
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0"):
        measure_positives([film], neighbours=0)
