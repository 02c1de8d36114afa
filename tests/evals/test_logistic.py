"""Logistic regression: both solvers reach the optimum of the stated objective."""

import numpy as np
import pytest
from scipy.special import expit

from vujax.evals.logistic import fit_logistic


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
