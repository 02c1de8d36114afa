"""Parts of examples that share no movie."""

from collections.abc import Sequence

import numpy as np


def movie_folds(movies: Sequence[str], folds: int, seed: int) -> list[np.ndarray]:
    """Bool `[n]` of each fold's fitted examples: no movie is fitted and tested in one fold.

    Movies come in an order of the seed; each goes to the fold that has the fewest examples.

    Args:
      movies: `[n]`, of each example.
      folds: how many.
      seed: of the order.

    Raises:
      ValueError: there are fewer movies than folds, or fewer than 2 folds.
    """
    names, movie, counts = np.unique(list(movies), return_inverse=True, return_counts=True)
    if not 2 <= folds <= len(names):
        raise ValueError(
            f"{folds} folds cannot be made of {len(names)} movies: take 2 or more, and have "
            "vectors of more clips of the train list"
        )
    sizes, fold_of = np.zeros(folds, np.int64), np.zeros(len(names), np.int64)
    for one in np.random.default_rng(seed).permutation(len(names)):
        fold_of[one] = sizes.argmin()
        sizes[fold_of[one]] += counts[one]
    return [fold_of[movie] != fold for fold in range(folds)]
