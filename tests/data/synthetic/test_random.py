"""Repeatable draws: fixed values, ranges, permutations."""

import numpy as np
import pytest

from vujax.data.synthetic.random import Dice, permute_index


def test_same_key_same_numbers_and_other_keys_others():
    draw = lambda *key: [Dice(key).integer() for _ in range(3)]  # noqa: E731
    assert draw("a", 1) == draw("a", 1)
    assert draw("a", 1) != draw("a", 2)
    assert draw("a", 1) != draw("a1")


def test_the_stream_never_changes():
    """Recorded: a changed generator would change every film, caption and published number."""
    dice = Dice(("film", 0))
    assert [dice.integer() for _ in range(2)] == [8611780822490044622, 2553180605410561865]


def test_uniform_is_uniform():
    dice = Dice(("uniform",))
    x = np.array([dice.uniform(2.0, 4.0) for _ in range(4000)])
    assert x.min() >= 2.0 and x.max() < 4.0
    assert abs(x.mean() - 3.0) < 0.05
    assert abs(x.std() - 2.0 / 12**0.5) < 0.02


def test_sample_takes_different_options():
    for i in range(20):
        taken = Dice(("sample", i)).sample("abcde", 4)
        assert len(set(taken)) == 4


@pytest.mark.parametrize("n", [1, 2, 3, 17, 100, 1025])
def test_shuffled_is_a_permutation(n: int):
    assert sorted(permute_index(i, n, ("key",)) for i in range(n)) == list(range(n))


def test_shuffled_scatters():
    """Check that neighbors are separated: steps between them cover the range."""
    places = np.array([permute_index(i, 1000, ("key",)) for i in range(1000)])
    assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 0.1
    assert abs(np.corrcoef(places, np.arange(1000))[0, 1]) < 0.1
    assert np.any(places != [permute_index(i, 1000, ("other",)) for i in range(1000)])
