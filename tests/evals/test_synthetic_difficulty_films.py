"""Difficulty of synthetic films: counts and scores by hand."""

from fractions import Fraction

import numpy as np
import pytest

from vujax.data.synthetic.editing import make_edit
from vujax.data.synthetic.world import make_film
from vujax.evals.synthetic_difficulty.films import (
    compute_f1,
    compute_recall,
    count_hits,
    find_best_f1,
    find_spans,
    score_scene_boundaries,
)
from vujax.video.shots.base import Transition


def test_runs_above_the_threshold_are_one_find():
    distance = np.array([0, 0.9, 0, 0.5, 0, 0, 0, 0.8, 0.8], np.float32)
    assert find_spans(distance, 0.4) == [(1, 4), (7, 9)]
    assert find_spans(distance, 0.85) == [(1, 2)]
    assert find_spans(distance, 1.0) == []


def test_counts_by_hand():
    truth = [Transition(4, 5), Transition(10, 20, "dissolve"), Transition(30, 31)]
    counts = count_hits([(1, 2), (4, 5), (15, 16), (17, 18), (40, 41)], truth)
    assert counts == {"cut hit": 1, "cut miss": 1, "dissolve hit": 1, "false": 3}
    assert compute_f1(counts, ["dissolve"]) == pytest.approx(2 / (2 + 3))
    assert compute_f1(counts, ["cut", "dissolve"]) == pytest.approx(4 / (4 + 1 + 3))
    assert compute_recall(counts, ["cut"]) == 0.5 and compute_recall(counts, ["fade"]) == 0


def test_best_f1_by_hand():
    scores, right = np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])
    assert find_best_f1(scores, right) == pytest.approx(4 / 5)


def test_colours_tell_scenes_neither_well_nor_not_at_all():
    films = [make_film(0, "validation", n) for n in range(12)]
    edits = [make_edit(film, Fraction(24), 3.0) for film in films]
    adjacent, around = score_scene_boundaries(edits), score_scene_boundaries(edits, reach=3)
    assert 2 * adjacent["AP of chance"] < adjacent["AP"] < 0.6
    assert adjacent["AP"] + 0.1 < around["AP"] < 0.9
