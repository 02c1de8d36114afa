"""The classifier of examples: objective, optimum, cost and held-out scores."""

from typing import Any

import numpy as np
import pytest
from scipy import optimize

from vujax.annotate.app import ranking

CENTRE = (np.full(6, 0.2), 1.7)


def two_clouds(count: int = 40, dim: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0.5, 1, (count, dim)), rng.normal(-0.5, 1, (3 * count, dim))


def objective(
    linear: ranking.LinearScorer, positive: np.ndarray, negative: np.ndarray, center: tuple
) -> float:
    """As the module states it, written out."""
    weights = np.float64(linear.weights) * center[1]  # of the scaled vectors
    bias = linear.bias + linear.weights @ center[0]

    def f(x: np.ndarray) -> np.ndarray:
        return ((x - center[0]) / center[1]) @ weights + bias

    right = np.log1p(np.exp(-f(positive))).mean() / 2 + np.log1p(np.exp(f(negative))).mean() / 2
    return float(right + ranking.L2 / 2 * weights @ weights)


def test_it_is_the_optimum_of_what_is_stated() -> None:
    positive, negative = two_clouds()
    found = ranking.fit_classifier(positive, negative, CENTRE)
    best = objective(found, positive, negative, CENTRE)
    rng = np.random.default_rng(1)
    for size in (1e-3, 1e-2, 1e-1):
        for _ in range(20):
            moved = ranking.LinearScorer(
                found.weights + size * rng.normal(size=6), found.bias + size * rng.normal()
            )
            assert objective(moved, positive, negative, CENTRE) > best


@pytest.mark.parity
def test_as_scikit_learn_has_it() -> None:
    from sklearn.linear_model import LogisticRegression

    positive, negative = two_clouds()
    x = (np.concatenate([positive, negative]) - CENTRE[0]) / CENTRE[1]
    y = np.repeat([1, 0], [len(positive), len(negative)])
    theirs = LogisticRegression(
        C=1 / (ranking.L2 * len(x)), class_weight="balanced", tol=1e-10, max_iter=1000
    ).fit(x, y)
    ours = ranking.fit_classifier(positive, negative, CENTRE)
    mine = np.concatenate([positive, negative]) @ ours.weights + ours.bias
    np.testing.assert_allclose(mine, theirs.decision_function(x), atol=2e-4)


def test_both_kinds_weigh_the_same_whatever_their_number() -> None:
    positive, negative = two_clouds()
    once = ranking.fit_classifier(positive, negative, CENTRE)
    thrice = ranking.fit_classifier(positive, np.tile(negative, (3, 1)), CENTRE)
    np.testing.assert_allclose(once.weights, thrice.weights, atol=1e-4)


def test_it_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="both positive and negative examples are needed"):
        ranking.fit_classifier(np.zeros((0, 6)), np.zeros((3, 6)), CENTRE)
    one = np.ones((1, 6))
    assert np.isfinite(ranking.fit_classifier(one, one, CENTRE).weights).all()


def test_held_out_examples_are_not_learned_from() -> None:
    """A label that contradicts all that is like it stands out, though a fit could remember it."""
    positive, negative = two_clouds(30)
    positive[7] = negative[:5].mean(0) - 1.0
    groups = np.arange(len(positive) + len(negative))
    found = ranking.score_held_out(positive, negative, groups, CENTRE)
    signs = np.repeat([1, -1], [len(positive), len(negative)])
    assert np.argmin(found * signs) == 7
    # What is nearly the same is left out with it.
    twins = np.concatenate([positive, positive[7:8]])
    groups = np.concatenate([np.arange(30), [7], 30 + np.arange(len(negative))])
    found = ranking.score_held_out(twins, negative, groups, CENTRE)
    assert found[7] < 0
    assert found[30] == pytest.approx(found[7])


def test_a_refit_needs_few_passes_over_its_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as a fit among 2,000 labels may have and still be done at once; a pass is 2 ms."""
    rng = np.random.default_rng(0)
    spread = 1 / np.sqrt(1 + np.arange(512))  # few directions hold most of it, as in real vectors
    vectors = (rng.normal(size=(2000, 512)) * spread).astype(np.float32)
    first = np.argsort(-(vectors @ rng.normal(size=512)))
    passes = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        found = minimize(*args, **kwargs)
        passes.append(found.nfev)
        return found

    minimize = optimize.minimize
    monkeypatch.setattr(optimize, "minimize", counted)
    scale = float(np.sqrt((spread**2).sum()))
    ranking.fit_classifier(vectors[first[:500]], vectors[first[500:]], (vectors.mean(0), scale))
    assert passes[0] < 50
