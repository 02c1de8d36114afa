"""Logistic regression: both solvers reach the optimum of the stated objective."""

import chex
import numpy as np
import pytest
from scipy.special import expit

from tests.evals.fakes import clusters
from vujax.evals.logistic import LinearClassifier, Standardizer, fit_logistic, fit_softmax


def examples(n: int = 90, d: int = 12, tags: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features `[n d]`, truth and weights `[n t]`; a fifth of the weights is 0."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, d)).astype(np.float32)
    truth = features @ rng.normal(size=(d, tags)) + rng.normal(size=(n, tags)) > 0
    weights = rng.uniform(0.5, 2, (n, tags)) * (rng.random((n, tags)) > 0.2)
    return features, truth, weights / weights.sum(0)


def test_the_gradient_of_the_scipy_solver_is_zero() -> None:
    features, truth, weights = examples()
    linear = fit_logistic(features, truth, weights, l2=0.02, solver="scipy", tolerance=1e-9)
    residual = weights * (expit(linear.logits(features)) - truth)
    assert linear.weights.dtype == np.float64
    np.testing.assert_allclose(features.T @ residual + 0.02 * linear.weights, 0, atol=3e-5)
    np.testing.assert_allclose(residual.sum(0), 0, atol=3e-5)


def test_both_solvers_give_the_same_classifier(mesh8) -> None:
    features, truth, weights = examples()
    exact = fit_logistic(features, truth, weights, l2=0.02, solver="scipy", tolerance=1e-9)
    ours = fit_logistic(features, truth, weights, l2=0.02, mesh=mesh8, tolerance=1e-6)
    np.testing.assert_allclose(ours.weights, exact.weights, atol=2e-3)
    np.testing.assert_allclose(ours.bias, exact.bias, atol=2e-3)


def test_wrong_solvers() -> None:
    features, truth, weights = examples()
    with pytest.raises(ValueError, match="unknown solver 'sgd'; expected one of: jax, scipy"):
        fit_logistic(features, truth, weights, l2=0.1, solver="sgd")
    with pytest.raises(ValueError, match="solver 'jax' needs a mesh"):
        fit_logistic(features, truth, weights, l2=0.1)


def centered(weights):
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
        chex.assert_trees_all_close(centered(one.weights), centered(other.weights), atol=5e-4)
    assert one.accuracy(features, labels) > 0.5


def test_weights_are_repetitions_and_none_is_absence(mesh8):
    features, labels = clusters()
    weights = np.arange(len(labels)) % 3
    options = {"classes": 4, "l2": 0.01, "mesh": mesh8}
    weighted = fit_softmax(features, labels, weights=weights, **options)
    repeated = fit_softmax(np.repeat(features, weights, 0), np.repeat(labels, weights), **options)
    chex.assert_trees_all_close(centered(weighted.weights), centered(repeated.weights), atol=5e-4)


def test_standardizer_keeps_constant_features():
    features = np.array([[1.0, 5.0], [3.0, 5.0]])
    np.testing.assert_allclose(Standardizer.fit(features)(features), [[-1, 0], [1, 0]])


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
        centered(ours.weights), centered(theirs.coef_.T), atol=2e-3 * scale, rtol=0
    )
    test = clusters(n=500, seed=3)
    assert ours.accuracy(*test) == pytest.approx(theirs.score(*test), abs=0.005)
