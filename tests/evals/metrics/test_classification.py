"""Ranking scores by hand and against scikit-learn."""

import math

import numpy as np
import pytest

from vujax.evals.metrics.classification import average_precision, precision_recall_f1, roc_auc


def test_by_hand() -> None:
    scores, right = np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])
    assert average_precision(scores, right) == pytest.approx((1 + 2 / 3) / 2)
    assert roc_auc(scores, right) == pytest.approx(3 / 4)
    assert precision_recall_f1(scores > 0.75, right) == (0.5, 0.5, 0.5)


def test_ties_are_called_at_once() -> None:
    scores, right = np.zeros(4), np.array([True, False, False, False])
    assert average_precision(scores, right) == 0.25 == average_precision(scores, right[::-1])
    assert roc_auc(scores, right) == 0.5


def test_what_is_not_defined() -> None:
    scores, none = np.array([0.1, 0.2]), np.zeros(2, bool)
    assert math.isnan(average_precision(scores, none)) and math.isnan(roc_auc(scores, none))
    assert math.isnan(roc_auc(scores, ~none)) and average_precision(scores, ~none) == 1
    precision, recall, f1 = precision_recall_f1(~none, none)
    assert precision == 0 and math.isnan(recall) and math.isnan(f1)
    assert precision_recall_f1(none, ~none) == (0, 0, 0)
    assert math.isnan(average_precision(np.zeros(0), np.zeros(0, bool)))


@pytest.mark.parity
def test_equal_to_scikit_learn() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(0)
    for case in range(200):
        n = int(rng.integers(2, 60))
        right = rng.random(n) < rng.random()
        right[:2] = True, False
        scores = rng.integers(0, 5, n) / 4 if case % 2 else rng.random(n)
        called = scores > 0.5
        expected = metrics.precision_recall_fscore_support(
            right, called, average="binary", zero_division=0.0
        )[:3]
        np.testing.assert_allclose(precision_recall_f1(called, right), expected)
        for ours, theirs in (
            (average_precision, metrics.average_precision_score),
            (roc_auc, metrics.roc_auc_score),
        ):
            assert ours(scores, right) == pytest.approx(theirs(right, scores), abs=1e-12)
