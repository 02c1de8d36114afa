"""The structure score against its definition: dense matrices, and all divisions of a tiny film."""

import itertools

import numpy as np
import pytest
from scipy.stats import rankdata

from vujax.data import scene_structure as structure
from vujax.data.shot_similarity import compute_cosine_band


def make_film(shots: int, width: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    places = np.repeat(rng.normal(size=(shots, width)), rng.integers(1, 6, shots), axis=0)[:shots]
    ends = np.cumsum(rng.random(shots) * 5 + 0.2)
    seconds = np.stack([np.append(0, ends[:-1]), ends], axis=1)
    return places + 0.4 * rng.normal(size=places.shape), seconds


def normalize(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def median_distance(unit: np.ndarray) -> float:
    return float(np.median([1 - unit[i] @ unit[i + 1] for i in range(len(unit) - 1)]))


def dense_flow(unit: np.ndarray, reach: int) -> np.ndarray:
    n, flow = len(unit), np.zeros(len(unit) - 1)
    for i in range(n):
        others = [j for j in range(max(0, i - reach), min(n, i + reach + 1)) if j != i]
        weights = np.exp([unit[i] @ unit[j] / (0.25 * median_distance(unit)) for j in others])
        for j, weight in zip(others, weights / weights.sum(), strict=True):
            flow[min(i, j) : max(i, j)] += weight
    return flow


def log_prior(length: int) -> float:
    density = [k * np.exp(-k / 6) for k in range(1, 61)]
    return float(np.log(density[length - 1] / np.sum(density))) if length <= 60 else -np.inf


def log_weight(unit: np.ndarray, first: int, end: int) -> float:
    scene = unit[first:end]
    scatter = ((scene - scene.mean(axis=0)) ** 2).sum()
    return log_prior(end - first) - 2 * scatter / median_distance(unit)


def enumerated_posterior(unit: np.ndarray) -> np.ndarray:
    """Sum the weights of all 2^(n-1) divisions."""
    n = len(unit)
    total, with_boundary = 0.0, np.zeros(n - 1)
    for choice in itertools.product([False, True], repeat=n - 1):
        cuts = [0, *(np.flatnonzero(choice) + 1), n]
        weight = np.exp(sum(log_weight(unit, *span) for span in itertools.pairwise(cuts)))
        total += weight
        with_boundary += weight * np.array(choice)
    return with_boundary / total


def dense_posterior(unit: np.ndarray) -> np.ndarray:
    """Use the forward-backward algorithm in float64, scene by scene."""
    n = len(unit)
    forward, backward = np.full(n + 1, -np.inf), np.full(n + 1, -np.inf)
    forward[0] = backward[n] = 0
    for end in range(1, n + 1):
        terms = [forward[i] + log_weight(unit, i, end) for i in range(max(0, end - 60), end)]
        forward[end] = np.logaddexp.reduce(terms)
    for start in range(n - 1, -1, -1):
        ends = range(start + 1, min(n, start + 60) + 1)
        terms = [backward[j] + log_weight(unit, start, j) for j in ends]
        backward[start] = np.logaddexp.reduce(terms)
    return np.exp(forward + backward - forward[n])[1:n]


def standardize(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


@pytest.mark.parametrize("shots", [3, 7, 40])
@pytest.mark.parametrize("reach", [3, 8])
def test_flow_against_the_dense_attention(shots, reach):
    vectors, _ = make_film(shots)
    flow = structure.compute_attention_flow(compute_cosine_band(vectors, 59), reach)
    np.testing.assert_allclose(flow, dense_flow(normalize(vectors), reach), atol=1e-5)


def test_posterior_against_all_divisions_of_a_tiny_film():
    vectors, _ = make_film(11)
    posterior = structure.compute_boundary_posterior(compute_cosine_band(vectors, 59))
    expected = enumerated_posterior(normalize(vectors))
    assert expected.max() - expected.min() > 0.1
    np.testing.assert_allclose(posterior, expected, atol=1e-5)


def test_posterior_of_a_film_that_is_longer_than_any_scene():
    vectors, _ = make_film(90)
    posterior = structure.compute_boundary_posterior(compute_cosine_band(vectors, 59))
    np.testing.assert_allclose(posterior, dense_posterior(normalize(vectors)), atol=1e-4)


def test_scores_against_the_definition():
    vectors, seconds = make_film(70)
    unit, lengths = normalize(vectors), np.log(seconds[:, 1] - seconds[:, 0])
    flow = np.mean([rankdata(-dense_flow(unit, m)) for m in (3, 4, 6, 8)], axis=0)
    posterior = rankdata(dense_posterior(unit))
    expected = standardize(flow) + standardize(posterior)
    expected += 0.25 * np.sqrt(2) * standardize(lengths[:-1] + lengths[1:])
    scores = structure.compute_structure_scores(vectors, seconds)
    np.testing.assert_allclose(scores, expected, atol=0.06)  # two ranks may change


def test_scores_find_the_change_of_place():
    rng = np.random.default_rng(0)
    places = np.repeat(rng.normal(size=(5, 16)), 8, axis=0)
    vectors = places + 0.5 * rng.normal(size=places.shape)
    seconds = np.arange(40)[:, None] + np.array([0.0, 1.0])
    scores = structure.compute_structure_scores(vectors, seconds)
    assert sorted(np.argsort(-scores)[:4]) == [7, 15, 23, 31]


def test_norms_and_time_units_do_not_count():
    vectors, seconds = make_film(30)
    norms = np.random.default_rng(1).random((30, 1)) * 100 + 1
    scores = structure.compute_structure_scores(vectors * norms, seconds * 7)
    expected = structure.compute_structure_scores(vectors, seconds)
    np.testing.assert_allclose(scores, expected, atol=0.1)


@pytest.mark.parametrize("shots", [1, 2, 20])
def test_shots_that_cannot_be_told_apart_have_no_boundary(shots):
    _, seconds = make_film(shots)
    for vectors in (np.zeros((shots, 4)), np.full((shots, 4), 0.3)):
        scores = structure.compute_structure_scores(vectors, seconds)
        assert scores.shape == (shots - 1,) and not scores.any()


def test_wrong_inputs_are_named():
    vectors, seconds = make_film(5)
    with pytest.raises(ValueError, match="5 shots need seconds"):
        structure.compute_structure_scores(vectors, seconds[1:])
    with pytest.raises(ValueError, match="times of the shots"):
        structure.compute_structure_scores(vectors, seconds * np.nan)
    with pytest.raises(ValueError, match="contain NaN"):
        structure.compute_structure_scores(vectors * np.nan, seconds)
