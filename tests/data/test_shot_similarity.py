"""Local similarity: a dense computation, several encoders, the ends of films."""

import tracemalloc

import numpy as np
import pytest

from vujax.data.shot_similarity import (
    SCALES,
    compute_cosine_band,
    compute_local_similarity,
    rescale,
)


def seconds_of(lengths: np.ndarray) -> np.ndarray:
    ends = np.cumsum(lengths)
    return np.stack([ends - lengths, ends], axis=1)


def film(shots: int = 9, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(shots, width)), seconds_of(rng.random(shots) + 0.1)


def test_rows_against_the_whole_matrix():
    vectors, seconds = film()
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = units @ units.T
    logs = np.log(seconds[:, 1] - seconds[:, 0])
    rows = compute_local_similarity(vectors, seconds, 3, scale="none").rows(np.arange(8))
    for boundary in range(8):
        for j in range(6):
            a = boundary - 2 + j
            assert rows["mask"][boundary, j] == (0 <= a < 9)
            want = (logs[a] - logs.mean()) / logs.std() if 0 <= a < 9 else 0
            np.testing.assert_allclose(rows["duration"][boundary, j], want, atol=1e-5)
            for k in range(6):
                b = boundary - 2 + k
                inside = 0 <= a < 9 and 0 <= b < 9 and a != b
                want = cosines[a, b] if inside else 0
                np.testing.assert_allclose(rows["similarity"][boundary, j, k], want, atol=1e-6)


@pytest.mark.parametrize("scale", ["film", "lag", "rank"])
def test_a_shift_and_stretch_of_all_cosines_changes_nothing(scale):
    band = compute_cosine_band(film(40)[0], 5)
    other = rescale(0.3 * band + 0.5, scale)
    np.testing.assert_allclose(other, rescale(band, scale), atol=1e-4)
    known = other[~np.isnan(other)]
    np.testing.assert_allclose([known.mean(), known.std()], [0, 1], atol=0.03)


def test_ranks_do_not_see_any_bend():
    band = compute_cosine_band(film(40)[0], 5)
    np.testing.assert_allclose(rescale(np.tanh(band), "rank"), rescale(band, "rank"), atol=1e-6)


def test_lengths_of_vectors_and_of_films_do_not_count():
    vectors, seconds = film()
    rows = compute_local_similarity(vectors, seconds, 3).rows(np.arange(8))
    lengths = np.random.default_rng(1).random((9, 1)) * 100 + 1
    other = compute_local_similarity(vectors * lengths, seconds * 7, 3).rows(np.arange(8))
    for name in rows:
        np.testing.assert_allclose(other[name], rows[name], atol=1e-4)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shots", [1, 2, 3])
def test_short_films(scale, shots):
    vectors, seconds = film(shots)
    local = compute_local_similarity(vectors, seconds, 4, scale=scale)
    rows = local.rows(np.arange(len(local)))
    assert rows["similarity"].shape == (shots - 1, 8, 8)
    assert (rows["mask"].sum(axis=1) == shots).all()
    assert all(np.isfinite(value).all() for value in rows.values())


@pytest.mark.parametrize("scale", ["film", "lag", "rank"])
@pytest.mark.parametrize("value", [0.0, 0.7])
def test_a_film_of_equal_shots_is_flat(scale, value):
    vectors = np.full((30, 512), value)
    rows = compute_local_similarity(vectors, seconds_of(np.ones(30)), 4, scale=scale).rows(
        np.arange(29)
    )
    assert not rows["similarity"].any() and not rows["duration"].any()


def test_black_shots_are_like_each_other_only():
    vectors = np.array([[0, 0], [0, 0], [1, 2], [1, 2.0]])
    np.testing.assert_allclose(
        compute_cosine_band(vectors, 2), [[1, 0], [0, 0], [1, np.nan], [np.nan, np.nan]], atol=1e-6
    )


def test_a_long_film_takes_no_square_of_memory():
    vectors, seconds = film(20_000, 8)
    tracemalloc.start()
    local = compute_local_similarity(vectors, seconds, 6)
    local.rows(np.arange(512))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # 20,000 x 20,000 float32 would be 1.6e9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            dict(vectors=np.full((4, 3), np.nan)),
            "embeddings of 4 of 4 shots contain NaN or infinity, the first that of shot 0",
        ),
        (dict(vectors=np.zeros(4)), r"must be \[shots d\]"),
        (dict(vectors=np.zeros((0, 3)), seconds=np.zeros((0, 2))), "at least 1 shot"),
        (dict(seconds=np.zeros((5, 2))), r"4 shots need seconds \[4 2\], got \(5, 2\)"),
        (dict(seconds=np.full((4, 2), np.nan)), "the start and end times of the shots contain NaN"),
        (dict(reach=0), "reach must be at least 1"),
        (dict(scale="bbc"), "unknown scale 'bbc'; expected one of: film, lag"),
    ],
)
def test_bad_input(change, words):
    options = dict(vectors=np.ones((4, 3)), seconds=seconds_of(np.ones(4)), reach=2, scale="film")
    options |= change
    with pytest.raises(ValueError, match=words):
        compute_local_similarity(**options)
