import chex
import numpy as np
import pytest

from tests.evals.fakes import Memory, Oracle
from vujax.evals.folds import hold_out_examples
from vujax.evals.linear_probe import L2_GRID, LinearProbe, choose_penalty
from vujax.evals.logistic import LinearClassifier, Standardizer, fit_softmax


def clusters(n=203, d=40, classes=4, noise=4.0, seed=0):
    """One shape for most tests: the solver is compiled anew for each."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(classes, d))
    labels = rng.integers(0, classes, n)
    features = centres[labels] / noise + rng.normal(size=(n, d))
    return features.astype(np.float32), labels


def centred(weights):
    return weights - weights.mean(1, keepdims=True)  # a common shift of all classes changes nothing


def test_gradient_is_zero_at_the_solution(mesh1):
    features, labels = clusters()
    linear = fit_softmax(features, labels, classes=4, l2=0.01, mesh=mesh1)
    logits = linear.logits(features).astype(np.float64)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    residual = (p - np.eye(4)[labels]) / len(labels)
    chex.assert_trees_all_close(features.T @ residual + 0.01 * linear.weights, 0, atol=3e-5)
    chex.assert_trees_all_close(residual.sum(0), np.zeros(4), atol=3e-5)


def test_devices_start_and_padding_do_not_matter(mesh1, mesh8):
    features, labels = clusters()
    options = {"classes": 4, "l2": 0.01}
    one = fit_softmax(features, labels, mesh=mesh1, **options)
    eight = fit_softmax(features, labels, mesh=mesh8, **options)
    far = LinearClassifier(np.ones_like(one.weights), np.arange(4, dtype=np.float32))
    warm = fit_softmax(features, labels, mesh=mesh1, start=far, **options)
    for other in (eight, warm):
        chex.assert_trees_all_close(centred(one.weights), centred(other.weights), atol=5e-4)
    assert one.accuracy(features, labels) > 0.5


def test_weights_are_repetitions_and_none_is_absence(mesh8):
    features, labels = clusters()
    weights = np.arange(len(labels)) % 3
    options = {"classes": 4, "l2": 0.01, "mesh": mesh8}
    weighted = fit_softmax(features, labels, weights=weights, **options)
    repeated = fit_softmax(np.repeat(features, weights, 0), np.repeat(labels, weights), **options)
    chex.assert_trees_all_close(centred(weighted.weights), centred(repeated.weights), atol=5e-4)


def test_validation_chooses_the_penalty(mesh1):
    train, validation = clusters(), clusters(n=500, seed=1)
    choice = choose_penalty(train, validation, classes=4, grid=L2_GRID, mesh=mesh1)
    best = max(choice.accuracies.values())
    assert choice.accuracies[choice.l2] == best
    assert choice.l2 == max(l2 for l2, score in choice.accuracies.items() if score == best)
    assert choice.linear.accuracy(*validation) == pytest.approx(best)
    assert best > choice.accuracies[min(L2_GRID)]  # almost unpenalised, it overfits


def test_held_out_part():
    out = hold_out_examples(50, 0.2, seed=1)
    assert (out.sum(), len(out)) == (10, 50)
    np.testing.assert_array_equal(out, hold_out_examples(50, 0.2, seed=1))
    assert (out != hold_out_examples(50, 0.2, seed=2)).any()
    assert (hold_out_examples(3, 0.0, 0).sum(), hold_out_examples(3, 1.0, 0).sum()) == (1, 2)


def test_standardizer_keeps_constant_features():
    features = np.array([[1.0, 5.0], [3.0, 5.0]])
    np.testing.assert_allclose(Standardizer.fit(features)(features), [[-1, 0], [1, 0]])


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


@pytest.mark.parity
@pytest.mark.parametrize("l2", [0.1, 1e-3])
def test_solution_is_that_of_scikit_learn(mesh1, l2):
    from sklearn.linear_model import LogisticRegression

    features, labels = clusters()
    theirs = LogisticRegression(C=1 / (l2 * len(labels)), tol=1e-8, max_iter=5000).fit(
        features, labels
    )
    ours = fit_softmax(features, labels, classes=4, l2=l2, mesh=mesh1, tolerance=1e-6)
    scale = np.abs(theirs.coef_).max()
    chex.assert_trees_all_close(
        centred(ours.weights), centred(theirs.coef_.T), atol=2e-3 * scale, rtol=0
    )
    test = clusters(n=500, seed=3)
    assert ours.accuracy(*test) == pytest.approx(theirs.score(*test), abs=0.005)
