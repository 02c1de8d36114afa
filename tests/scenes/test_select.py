"""Selection of boundaries: thresholds, peaks, minimum duration, and optimal groupings."""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy import signal

from vujax.scenes.select import (
    compute_prominences,
    find_peaks,
    select_by_prominence,
    select_by_threshold,
    select_highest,
    select_k_scenes,
)


def seconds_of(lengths) -> np.ndarray:
    ends = np.cumsum(np.asarray(lengths, float))
    return np.stack([ends - lengths, ends], axis=1)


def test_above_the_threshold():
    scores = np.array([0.2, 0.5, 0.9, 0.6])
    assert select_by_threshold(scores, seconds_of(np.ones(5)), threshold=0.5).tolist() == [2, 3]


def test_the_highest_scores():
    scores, seconds = np.array([0.2, 0.9, 0.5, 0.9, 0.5]), seconds_of(np.ones(6))
    assert select_highest(scores, seconds, count=3).tolist() == [1, 2, 3]
    assert select_highest(scores, seconds, count=0).tolist() == []
    assert select_highest(scores, seconds, count=99).tolist() == [0, 1, 2, 3, 4]
    assert select_highest(scores, seconds, count=3, min_duration=2).tolist() == [1, 3]
    assert select_highest(np.full(5, 0.9), seconds, count=3).tolist() == []


def test_no_scene_is_shorter_than_asked():
    scores = np.array([0.9, 0.8, 0.95, 0.7, 0.99])
    seconds = seconds_of([5, 2, 4, 6, 7, 1])  # borders at 5, 7, 11, 17, 24; end 25
    borders = select_by_threshold(scores, seconds, threshold=0.5, min_duration=5)
    # 24 is too near the end; then 11, then 5; 7 is near both; 17 is far enough.
    assert borders.tolist() == [0, 2, 3]
    rng = np.random.default_rng(0)
    scores, seconds = rng.random(200), seconds_of(rng.random(201) * 10)
    for choose in (
        select_by_prominence,
        lambda s, t, **o: select_by_threshold(s, t, threshold=0.3, **o),
    ):
        borders = choose(scores, seconds, min_duration=12.0)
        moments = np.concatenate([[0], seconds[borders + 1, 0], [seconds[-1, 1]]])
        assert len(borders) > 20 and np.diff(moments).min() >= 12


def test_of_equal_scores_the_earlier_stays():
    borders = select_by_threshold(np.ones(4), seconds_of(np.ones(5)), threshold=0.5, min_duration=2)
    assert borders.tolist() == [1]


def test_peaks_that_stand_out():
    scores = np.array([0.0, 1.0, 0.9, 1.0, 0.0, 0.1, 0.0, 3.0, 3.0, 3.0, 0.5])
    borders = select_by_prominence(scores, seconds_of(np.ones(12)), prominence=0.5)
    assert borders.tolist() == [1, 3, 8]
    everything = select_by_prominence(scores, seconds_of(np.ones(12)), prominence=0.0)
    assert everything.tolist() == [1, 3, 5, 8]
    assert select_by_prominence(scores, seconds_of(np.ones(12)), prominence=2.0).tolist() == [8]


def test_a_peak_may_stand_at_an_end():
    scores = np.array([2.0, 0.0, 0.1, 0.0, 2.0])
    assert select_by_prominence(scores, seconds_of(np.ones(6)), prominence=1.0).tolist() == [0, 4]


def test_peaks_and_prominences_are_those_of_scipy():
    rng = np.random.default_rng(0)
    for borders in (2, 3, 7, 40, 300):
        for levels in (3, 1000):
            scores = rng.integers(0, levels, borders).astype(float)
            padded = np.pad(scores, 1, constant_values=scores.min())
            for least in (0.0, 0.5, 2.0):
                expected, found = signal.find_peaks(padded, prominence=least)
                tops = find_peaks(scores)
                high = compute_prominences(scores)[tops]
                np.testing.assert_array_equal(tops[high >= least], expected - 1)
                np.testing.assert_array_equal(high[high >= least], found["prominences"])


@pytest.mark.parametrize("borders", [0, 1, 2, 50])
def test_equal_scores_have_no_peak(borders):
    scores, seconds = np.full(borders, 0.3), seconds_of(np.ones(borders + 1))
    assert select_by_prominence(scores, seconds).tolist() == []
    assert select_by_threshold(scores, seconds, threshold=0.5, min_duration=3.0).tolist() == []


def cost(vectors: np.ndarray, borders: tuple[int, ...]) -> float:
    """Sum the cosine distances between shots over scenes, divided by the scene's shots."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scenes = np.split(unit, np.array(borders, int) + 1)
    return sum((1 - s @ s.T).sum() / len(s) for s in scenes)


@pytest.mark.parametrize("scenes", [1, 2, 3, 4, 9])
def test_the_best_of_all_groupings(scenes):
    for seed in range(5):
        vectors = np.random.default_rng(seed).normal(size=(9, 3)) + [1, 0, 0]
        every = itertools.combinations(range(8), scenes - 1)
        best = min(every, key=lambda borders: cost(vectors, borders))
        assert select_k_scenes(vectors, scenes).tolist() == list(best)


def test_no_more_scenes_than_shots():
    assert select_k_scenes(np.eye(3), 7).tolist() == [0, 1]
    assert select_k_scenes(np.ones((1, 4)), 3).tolist() == []
    assert select_k_scenes(np.ones((2, 4)), 2).tolist() == [0]


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_a_film_of_equal_shots_is_divided_evenly(value):
    assert select_k_scenes(np.full((12, 512), value), 4).tolist() == [2, 5, 8]


def test_a_long_film_takes_bounded_memory():
    """Distinct scenes are found among more shots than the exact search considers."""
    rng = np.random.default_rng(0)
    looks = np.repeat(rng.normal(size=(40, 16)), 500, axis=0)
    vectors = (looks + 0.3 * rng.normal(size=looks.shape)).astype(np.float32)
    tracemalloc.start()
    borders = select_k_scenes(vectors, 40, max_candidates=400)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert borders.tolist() == list(range(499, 19_999, 500))
    assert peak < 20e6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: select_k_scenes(np.ones((5, 2)), 0), "scenes must be between 1 and"),
        (lambda: select_k_scenes(np.ones((5, 2)), 5, max_candidates=3), "between 1 and 4, got 5"),
        (lambda: select_k_scenes(np.full((5, 2), np.inf), 2), "NaN or infinity"),
        (
            lambda: select_by_threshold(np.ones(5), np.ones((5, 2)), threshold=0.5),
            r"5 scores belong to 6 shots, expected seconds of shape \[6 2\], got \[5, 2\]",
        ),
        (lambda: select_by_prominence(np.array([np.nan]), np.ones((2, 2))), "must be finite"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
