"""Gap scores: a dense computation, short, black and long films, real features."""

import tracemalloc

import numpy as np
import pytest

from vujax.data.shot_similarity import compute_gap_scores


def dense(vectors: np.ndarray, reach: int) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    n = len(vectors)
    return np.array(
        [
            1 - cosines[max(0, i - reach + 1) : i + 1, i + 1 : i + 1 + reach].max()
            for i in range(n - 1)
        ]
    )


@pytest.mark.parametrize("shots", [2, 3, 5, 40])
@pytest.mark.parametrize("reach", [1, 4])
def test_against_the_whole_matrix(shots, reach):
    vectors = np.random.default_rng(0).normal(size=(shots, 6)) * 50
    scores = compute_gap_scores(vectors, reach)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, dense(vectors, reach), atol=1e-6)


def test_one_shot_has_no_border():
    assert compute_gap_scores(np.ones((1, 3))).shape == (0,)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_equal_shots_have_no_gap(value):
    np.testing.assert_allclose(compute_gap_scores(np.full((20, 8), value)), 0, atol=1e-6)


def test_black_shots_against_others():
    vectors = np.array([[0, 0], [0, 0], [1, 0], [1, 0.0]])
    np.testing.assert_allclose(compute_gap_scores(vectors), [0, 1, 0], atol=1e-6)


def test_a_long_film_takes_no_square_of_memory():
    vectors = np.random.default_rng(0).normal(size=(20_000, 8)).astype(np.float32)
    tracemalloc.start()
    assert compute_gap_scores(vectors).shape == (19_999,)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_bad_input():
    vectors = np.ones((5, 2))
    vectors[3] = np.nan
    with pytest.raises(
        ValueError,
        match="embeddings of 1 of 5 shots contain NaN or infinity, the first that of shot 3",
    ):
        compute_gap_scores(vectors)
    with pytest.raises(ValueError, match="reach must be at least 1"):
        compute_gap_scores(np.ones((5, 2)), 0)


def average_precision(scores: np.ndarray, starts: np.ndarray) -> float:
    """Return the precision at each distinct score: boundaries of equal score count together."""
    precision, recall = [], []
    for score in np.unique(scores)[::-1]:
        called = scores >= score
        precision.append(starts[called].mean())
        recall.append(starts[called].sum() / starts.sum())
    return float((np.array(precision) * np.diff(recall, prepend=0)).sum())


def in_order(scores: np.ndarray, starts: np.ndarray) -> float:
    """As if the earlier of equal scores were the higher one, which flatters a little."""
    sorted_starts = starts[np.argsort(-scores, kind="stable")].astype(bool)
    return float((np.cumsum(sorted_starts) / np.arange(1, len(starts) + 1))[sorted_starts].mean())


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("films", "ap", "ap_in_order"), [("bbc", 0.3381, 0.3391), ("rai", 0.4257, 0.4292)]
)
def test_known_scores_of_raw_features(films, ap, ap_in_order, data_root):
    found = []
    for path in sorted((data_root / "boundaries").glob(f"{films}_*.npz")):
        with np.load(path) as film:
            scores, starts = compute_gap_scores(film["vgg19"]), film["boundary"]
        found.append((average_precision(scores, starts), in_order(scores, starts)))
    np.testing.assert_allclose(np.mean(found, axis=0), [ap, ap_in_order], atol=1e-4)
