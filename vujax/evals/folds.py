"""Part of the evaluations."""

from collections.abc import Sequence

import numpy as np

DRAWS = 64  # of movies to hold out; the one that serves most tags is taken


def find_learnable_tags(truth: np.ndarray, known: np.ndarray, least: int = 1) -> np.ndarray:
    """Which tags have at least `least` examples and as many counterexamples, bool `[t]`."""
    return ((truth & known).sum(0) >= least) & ((~truth & known).sum(0) >= least)


def hold_out_groups(
    groups: np.ndarray,
    truth: np.ndarray,
    known: np.ndarray | None = None,
    *,
    share: float = 0.25,
    seed: int = 0,
) -> np.ndarray:
    """`[n]` bool: the examples of some groups (movies), about a `share` of the groups.

    Of several draws the first one is taken that leaves most tags with examples and counterexamples
    on both sides; nothing but labels is looked at.

    Args:
      groups: `[n]`, such as which movie each example is of.
      truth: bool `[n t]`.
      known: bool `[n t]`; None: all is known.
      share: of the groups; at least one is held out, and one is left.
      seed: the same seed gives the same part.

    Raises:
      ValueError: there is only one group.
    """
    known = np.ones(truth.shape, bool) if known is None else known
    names, which = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"all examples are of one group ({names[0] if len(names) else 'none'}): two are needed "
            "to hold one out"
        )
    count = min(max(round(share * len(names)), 1), len(names) - 1)
    rng = np.random.default_rng(seed)
    best, served = None, -1
    for _ in range(DRAWS):
        out = np.isin(which, rng.permutation(len(names))[:count])
        both = find_learnable_tags(truth[out], known[out]) & find_learnable_tags(
            truth[~out], known[~out]
        )
        if both.sum() > served:
            best, served = out, int(both.sum())
    return best


def split_movie_folds(movies: Sequence[str], folds: int, seed: int) -> list[np.ndarray]:
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


def hold_out_examples(examples: int, share: float, seed: int) -> np.ndarray:
    """`[examples]` bool: a random `share`, the same for the same seed, neither none nor all."""
    count = min(max(round(share * examples), 1), examples - 1)
    chosen = np.random.default_rng(seed).permutation(examples)[:count]
    return np.isin(np.arange(examples), chosen)
