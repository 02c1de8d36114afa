"""Pairs of transitions against all ways to pair them."""

import itertools

import numpy as np
import pytest

from vujax.evals.metrics.shots import (
    Extent,
    count_matches,
    match_extents,
    score_counts,
    transition_extents,
)
from vujax.video.shots.base import Transition


def cut(at: float) -> Extent:
    return Extent(at, at, "cut")


def gap(a: Extent, b: Extent) -> float:
    return max(a.start - b.end, b.start - a.end, 0)


def best(found: list[Extent], true: list[Extent], tolerance: float) -> tuple[int, float]:
    """Find the most pairs and their least total distance by trying everything."""
    result = (0, 0.0)
    slots = [*range(len(true)), *[None] * len(found)]
    for choice in set(itertools.permutations(slots, len(found))):
        pairs = [(f, true[j]) for f, j in zip(found, choice, strict=True) if j is not None]
        if all(gap(f, t) <= tolerance for f, t in pairs):
            apart = sum(abs(f.start + f.end - t.start - t.end) / 2 for f, t in pairs)
            result = max(result, (len(pairs), -apart))
    return result


def test_pairs_are_the_most_and_the_nearest() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        sides = []
        for _ in range(2):
            begins = rng.uniform(0, 12, rng.integers(0, 5)).round(1)
            lengths = rng.choice([0.0, 0.0, 1.5], len(begins))
            sides.append([Extent(b, b + n, "any") for b, n in zip(begins, lengths, strict=True)])
        found, true = sides
        pairs = match_extents(found, true, 1.0)
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
        apart = sum(
            abs(found[i].start + found[i].end - true[j].start - true[j].end) / 2 for i, j in pairs
        )
        assert (len(pairs), -apart) == pytest.approx(best(found, true, 1.0))


def test_one_found_transition_serves_one_true_one() -> None:
    assert match_extents([cut(10)], [cut(9), cut(11)], 1) in ([(0, 0)], [(0, 1)])
    assert match_extents([cut(1), cut(2)], [cut(2), cut(3)], 1) == [(0, 0), (1, 1)]


def test_the_tolerance_is_included() -> None:
    assert match_extents([cut(10)], [cut(12)], 2) == [(0, 0)]
    assert match_extents([cut(10)], [cut(12)], 1.9) == []
    assert match_extents([cut(10)], [cut(11)], 0) == []


def test_gradual_ones_pair_by_overlap() -> None:
    dissolve = Extent(100, 124, "dissolve")
    assert match_extents([cut(112)], [dissolve], 0) == [(0, 0)]
    assert match_extents([cut(126)], [dissolve], 1) == []
    assert match_extents([cut(126)], [dissolve], 2) == [(0, 0)]
    assert match_extents([Extent(90, 100, "gradual")], [dissolve], 0) == [(0, 0)]


def test_extents_hold_what_lies_between_shots() -> None:
    found = [Transition(9, 10), Transition(19, 24, "gradual")]
    assert transition_extents(found) == [cut(10), Extent(20, 24, "gradual")]
    times = [i / 10 for i in range(30)]
    assert transition_extents(found, times) == [cut(1.0), Extent(2.0, 2.4, "gradual")]


def test_scores_by_kind_and_over_films() -> None:
    true = [cut(10), cut(20), Extent(30, 40, "dissolve"), Extent(60, 70, "fade")]
    found = [cut(10), Extent(19, 22, "gradual"), Extent(31, 38, "gradual"), cut(50), cut(80)]
    first = count_matches(found, true, 1)
    expected = {
        "found": 5,
        "true": 4,
        "paired": 3,
        "f1": 6 / 9,
        "precision": 3 / 5,
        "precision/cut": 1 / 3,
        "precision/gradual": 1.0,
        "recall": 3 / 4,
        "recall/cut": 1.0,
        "recall/dissolve": 1.0,
        "recall/fade": 0.0,
    }
    assert score_counts(first) == pytest.approx(expected)
    second = count_matches([], [cut(5)], 1)
    both = score_counts(first + second)
    assert both["recall"] == 3 / 5
    assert both["recall/cut"] == 2 / 3
    assert both["precision"] == 3 / 5


def test_nothing_to_find_and_nothing_found() -> None:
    empty = {"found": 0, "true": 0, "paired": 0, "f1": 1.0, "precision": 1.0, "recall": 1.0}
    assert score_counts(count_matches([], [], 1)) == empty
    assert score_counts(count_matches([cut(1)], [], 1))["f1"] == 0.0
