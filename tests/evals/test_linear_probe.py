"""The linear probe: choice of the penalty, and the evaluator end to end."""

import numpy as np
import pytest

from tests.evals.fakes import Memory, Oracle, clusters
from vujax.evals.linear_probe import L2_GRID, LinearProbe, choose_penalty


def test_validation_chooses_the_penalty(mesh1):
    train, validation = clusters(), clusters(n=500, seed=1)
    choice = choose_penalty(train, validation, classes=4, grid=L2_GRID, mesh=mesh1)
    best = max(choice.accuracies.values())
    assert choice.accuracies[choice.l2] == best
    assert choice.l2 == max(l2 for l2, score in choice.accuracies.items() if score == best)
    assert choice.linear.accuracy(*validation) == pytest.approx(best)
    assert best > choice.accuracies[min(L2_GRID)]  # almost unpenalized, it overfits


@pytest.mark.long
def test_evaluator_end_to_end(mesh8):
    train = Memory([i % 5 for i in range(60)])
    probe = LinearProbe(
        Oracle(5), mesh8, train=train, source=Memory([0, 1, 2, 3, 4, 4, 4]), refit=False
    )
    scores = probe({})
    assert (scores["top1"], scores["mean_class"], scores["examples"]) == (1.0, 1.0, 7)
    assert scores["validation_top1"] == 1.0
    assert probe.baselines["chance"]["top1"] == 1 / 5
    assert probe.baselines["constant"]["top1"] == pytest.approx(3 / 7)
    np.testing.assert_array_equal(probe.hits, np.ones(7))


def test_refit_learns_from_validation_too(mesh1):
    train, validation = Memory([0, 1] * 8), Memory([2] * 8 + [0, 1])
    options = {"train": train, "validation": validation, "source": Memory([0, 1, 2])}
    scores = LinearProbe(Oracle(3), mesh1, grid=[1e-2], **options)({})
    assert scores["top1"] == 1.0
    assert scores["validation_top1"] < 0.5  # the training part alone has no class 2


def test_unknown_feature_and_missing_label(mesh1):
    source = Memory([0, 1])
    with pytest.raises(ValueError, match=r"no feature 'pool'.*pooled"):
        LinearProbe(Oracle(2), mesh1, train=source, source=source, feature="pool")({})
    with pytest.raises(ValueError, match="number 1, key 'r1'"):
        LinearProbe(Oracle(2), mesh1, train=Memory([0, None]), source=source)({})
