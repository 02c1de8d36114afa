"""Held-out examples and folds."""

import numpy as np
import pytest

from vujax.evals.folds import hold_out_examples, split_movie_folds


def test_no_movie_is_fitted_and_tested_in_one_fold() -> None:
    movies = [f"tt{clip // 3}" for clip in range(50)] + ["big"] * 20
    folds = split_movie_folds(movies, 5, seed=0)
    assert np.sum([~there for there in folds], axis=0).tolist() == [1] * 70
    for there in folds:
        fitted_movies = {m for m, used in zip(movies, there, strict=True) if used}
        assert not fitted_movies & {m for m, used in zip(movies, there, strict=True) if not used}
        assert (~there).sum() >= 11
    assert (np.array(folds) != np.array(split_movie_folds(movies, 5, seed=1))).any()
    with pytest.raises(ValueError, match="5 folds cannot be made of 2 movies"):
        split_movie_folds(["a", "b"], 5, 0)


def test_held_out_examples():
    out = hold_out_examples(50, 0.2, seed=1)
    assert (out.sum(), len(out)) == (10, 50)
    np.testing.assert_array_equal(out, hold_out_examples(50, 0.2, seed=1))
    assert (out != hold_out_examples(50, 0.2, seed=2)).any()
    assert (hold_out_examples(3, 0.0, 0).sum(), hold_out_examples(3, 1.0, 0).sum()) == (1, 2)
