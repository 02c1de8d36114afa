"""Masks of positives and negatives by movie similarity."""

import numpy as np
import pytest

from vujax.data.movies.guide import ANY, NONE, Keys, Queries, is_negative, is_positive_candidate
from vujax.losses.memory_bank import NO_FILM

N, R, MOVIES, SCENES = 12, 40, 5, 15


def case() -> tuple[Queries, Keys]:
    """Scene i is of movie i mod 5; lists hold movies, nothing, or 'any'."""
    rng = np.random.default_rng(0)
    scene, keys = rng.integers(0, SCENES, N), rng.integers(-1, SCENES, R)
    similar = rng.integers(-1, MOVIES, (N, 2))
    similar[:3, 0], similar[3] = ANY, NONE
    film = np.where(keys < 0, NO_FILM, keys % MOVIES)
    return (
        Queries(scene % MOVIES, scene, similar, rng.integers(0, SCENES, N)),
        Keys(film, keys),
    )


def positive(query: Queries, key: Keys, i: int, j: int) -> bool:
    if key.film[j] == NO_FILM or key.scene[j] == query.scene[i]:
        return False
    lists = query.similar[i].tolist()
    return key.film[j] in lists or (ANY in lists and key.film[j] != query.film[i])


def negative(query: Queries, key: Keys, i: int, j: int, mask_similar: bool) -> bool:
    if key.film[j] in (NO_FILM, query.film[i]) or key.scene[j] == query.positive[i]:
        return False
    return not (mask_similar and key.film[j] in query.similar[i].tolist())


def all_pairs(says) -> np.ndarray:
    return np.array([[says(i, j) for j in range(R)] for i in range(N)])


def test_positives_are_those_of_the_loop():
    query, key = case()
    want = all_pairs(lambda i, j: positive(query, key, i, j))
    assert 0 < want.mean() < 1 and not want[3].any()
    np.testing.assert_array_equal(is_positive_candidate(query, key), want)


@pytest.mark.parametrize("mask_similar", [False, True])
def test_negatives_are_those_of_the_loop(mask_similar):
    query, key = case()
    want = all_pairs(lambda i, j: negative(query, key, i, j, mask_similar))
    assert 0 < want.mean() < 1
    found = is_negative(query, key, mask_similar=mask_similar)
    np.testing.assert_array_equal(found, want)
