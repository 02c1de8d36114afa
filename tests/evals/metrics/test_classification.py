"""Ranking scores by hand and against scikit-learn."""

import math

import numpy as np
import pytest

from vujax.evals.metrics.classification import (
    average_precision,
    expected_calibration_error,
    precision_recall_f1,
    roc_auc,
)


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


def compute_calibration_densely(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    total = 0.0
    for number in range(bins):
        inside = (confidence > number / bins) & (confidence <= (number + 1) / bins)
        inside |= (confidence == 0) & (number == 0)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return total


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_calibration_is_the_mean_gap_of_the_groups(bins: int) -> None:
    rng = np.random.default_rng(bins)
    confidence = np.concatenate([rng.random(200), [0.0, 0.25, 0.5, 1.0]])
    right = rng.random(204) < confidence**2
    found = expected_calibration_error(confidence, right, bins=bins)
    assert found == pytest.approx(compute_calibration_densely(confidence, right, bins))
    assert found > 0.05


def test_calibration_by_hand() -> None:
    right = np.array([True, True, False, False])
    assert expected_calibration_error(np.full(4, 0.5), right) == 0
    assert expected_calibration_error(np.full(4, 0.9), right) == pytest.approx(0.4)
    assert expected_calibration_error(right.astype(float), right) == 0
    assert math.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, bool)))


@pytest.mark.parametrize("value", [1.2, -0.1, math.nan])
def test_calibration_needs_probabilities(value: float) -> None:
    with pytest.raises(ValueError, match="probability 1 is"):
        expected_calibration_error(np.array([0.5, value]), np.array([True, True]))
    with pytest.raises(ValueError, match="bins must be positive, got 0"):
        expected_calibration_error(np.array([0.5]), np.array([True]), bins=0)
