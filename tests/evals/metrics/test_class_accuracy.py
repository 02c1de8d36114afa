"""Mean per-class accuracy and label baselines by hand and against scikit-learn."""

import numpy as np
import pytest

from vujax.evals.metrics.classification import label_baselines, mean_class_accuracy


def test_mean_class_by_hand():
    hits, labels = np.array([1, 0, 0, 0.5]), np.array([4, 4, 4, 9])
    assert mean_class_accuracy(hits, labels) == pytest.approx((1 / 3 + 0.5) / 2)


def test_label_baselines():
    rows = label_baselines(np.array([0, 0, 0, 5]), 8)
    assert rows["chance"] == {"top1": 1 / 8, "mean_class": 1 / 8, "top5": 5 / 8}
    assert rows["constant"] == {"top1": 0.75, "mean_class": 0.5}
    assert "top5" not in label_baselines(np.array([0, 1]), 2)["chance"]


@pytest.mark.parity
def test_mean_class_is_balanced_accuracy():
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(0)
    labels = rng.choice(7, 500, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.03, 0.02])
    guesses = np.where(rng.random(500) < 0.6, labels, rng.integers(0, 7, 500))
    expected = balanced_accuracy_score(labels, guesses)
    assert mean_class_accuracy(guesses == labels, labels) == pytest.approx(expected)
