"""Held-out examples and folds, by example or by movie."""

from collections.abc import Sequence

import numpy as np

NUM_DRAWS = 64  # of groups to hold out; the draw that serves most tags is taken


def find_learnable_tags(truth: np.ndarray, known: np.ndarray, least: int = 1) -> np.ndarray:
    """Return bool `[t]`: tags with enough examples and as many counterexamples.

    Args:
      truth: bool `[n t]`.
      known: bool `[n t]`.
      least: examples, and counterexamples, that a tag needs.
    """
    return ((truth & known).sum(0) >= least) & ((~truth & known).sum(0) >= least)


def hold_out_groups(
    groups: np.ndarray,
    truth: np.ndarray,
    known: np.ndarray | None = None,
    *,
    share: float = 0.25,
    seed: int = 0,
) -> np.ndarray:
    """Return `[n]` bool: the examples of about a `share` of the groups (movies).

    Of several draws the first one is taken that leaves most tags with examples and counterexamples
    on both sides; only labels are read.

    Args:
      groups: `[n]`, such as the movie of each example.
      truth: bool `[n t]`.
      known: bool `[n t]`; None: all is known.
      share: of the groups; at least one is held out, and at least one remains.
      seed: the same seed gives the same examples.

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
    for _ in range(NUM_DRAWS):
        out = np.isin(which, rng.permutation(len(names))[:count])
        both = find_learnable_tags(truth[out], known[out]) & find_learnable_tags(
            truth[~out], known[~out]
        )
        if both.sum() > served:
            best, served = out, int(both.sum())
    return best


def split_movie_folds(movies: Sequence[str], folds: int, seed: int) -> list[np.ndarray]:
    """Return bool `[n]` of each fold's training examples; folds share no movie.

    Movies come in an order of the seed; each goes to the fold that has the fewest examples.

    Args:
      movies: `[n]`, of each example.
      folds: number of folds.
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
    for index in np.random.default_rng(seed).permutation(len(names)):
        fold_of[index] = sizes.argmin()
        sizes[fold_of[index]] += counts[index]
    return [fold_of[movie] != fold for fold in range(folds)]


def hold_out_examples(examples: int, share: float, seed: int) -> np.ndarray:
    """Return `[examples]` bool: a random `share`, neither none nor all.

    The same seed gives the same examples.
    """
    count = min(max(round(share * examples), 1), examples - 1)
    chosen = np.random.default_rng(seed).permutation(examples)[:count]
    return np.isin(np.arange(examples), chosen)
