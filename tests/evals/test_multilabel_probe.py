"""Tags from features: the optimum, one program for all, the penalty, the split."""

import numpy as np
import pytest
from scipy.special import expit

from vujax.evals.folds import find_learnable_tags, hold_out_groups
from vujax.evals.metrics.multilabel import score_tags
from vujax.evals.multilabel_probe import TaggedFeatures, fit_tag_probe, fit_tags


def made(n=205, d=12, tags=4, seed=0):
    """Make tags that follow a direction of the features; some are not known."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d)).astype(np.float32)
    directions = np.random.default_rng(9).normal(size=(d, tags))
    truth = features @ directions / 2 + rng.normal(size=(n, tags)) > 1
    return TaggedFeatures(features, truth, rng.random((n, tags)) < 0.7)


def test_gradient_is_zero_at_the_solution(mesh1, mesh8):
    data = made()
    for mesh in (mesh1, mesh8):
        linear = fit_tags(*data, l2=0.01, mesh=mesh)
        residual = (expit(linear.logits(data.features)) - data.truth) * data.known
        residual = residual / data.known.sum(0)
        gradient = data.features.T @ residual + 0.01 * linear.weights
        np.testing.assert_allclose(gradient, 0, atol=3e-5)
        np.testing.assert_allclose(residual.sum(0), 0, atol=3e-5)


def test_a_tag_is_learned_the_same_alone(mesh1):
    data = made()
    together = fit_tags(*data, l2=0.01, mesh=mesh1)
    for t in range(4):
        alone = fit_tags(*data.take(np.arange(205), np.array([t])), l2=0.01, mesh=mesh1)
        np.testing.assert_allclose(together.weights[:, [t]], alone.weights, atol=2e-3)


@pytest.mark.parity
def test_solution_is_that_of_scikit_learn(mesh1):
    from sklearn.linear_model import LogisticRegression

    data = made()
    ours = fit_tags(*data, l2=0.02, mesh=mesh1, tolerance=1e-6)
    for t in range(4):
        mine = data.known[:, t]
        theirs = LogisticRegression(C=1 / (0.02 * mine.sum()), tol=1e-8, max_iter=5000)
        theirs.fit(data.features[mine], data.truth[mine, t])
        np.testing.assert_allclose(ours.weights[:, t], theirs.coef_[0], atol=2e-3)
        assert ours.bias[t] == pytest.approx(theirs.intercept_[0], abs=2e-3)


def test_validation_chooses_the_penalty_and_the_thresholds(mesh1):
    train, validation, test = made(40), made(300, seed=1), made(2000, seed=2)
    choice = fit_tag_probe(train, validation, mesh=mesh1)
    best = min(choice.losses.values())
    assert choice.losses[choice.l2] == best
    assert best < choice.losses[min(choice.losses)] and best < choice.losses[max(choice.losses)]
    scores = choice.probe.scores(validation.features)
    options = dict(known=validation.known, thresholds=choice.probe.thresholds)
    found = score_tags(scores, validation.truth, **options)
    log = np.log(np.where(validation.truth, scores, 1 - scores))
    mine = [-log[validation.known[:, t], t].mean() for t in range(4)]
    assert best == pytest.approx(np.mean(mine))
    assert found.summary()["f1"] > 0.5
    scores = choice.probe.scores(test.features)
    found = score_tags(scores, test.truth, thresholds=choice.probe.thresholds)
    assert (found.ap > found.random_ap + 0.2).all()
    assert (found.f1 > 0.5).all()
    half = score_tags(scores, test.truth, thresholds=np.full(4, 0.5)).summary()
    assert found.summary()["f1"] > half["f1"]


def test_whole_movies_are_held_out_and_every_tag_stays_usable():
    """Tag 1 is had in two movies of ten only: a careless draw has both on one side."""
    movies = np.repeat(np.array([f"m{i}" for i in range(10)]), 6)
    truth = np.zeros((60, 2), bool)
    truth[::3, 0] = True
    truth[np.isin(movies, ["m3", "m7"]), 1] = True
    for seed in range(5):
        out = hold_out_groups(movies, truth, share=0.2, seed=seed)
        assert out.sum() == 12
        assert not set(movies[out]) & set(movies[~out])
        known = np.ones_like(truth)
        assert (
            find_learnable_tags(truth[out], known[out]).all()
            and find_learnable_tags(truth[~out], known[~out]).all()
        )
        np.testing.assert_array_equal(out, hold_out_groups(movies, truth, share=0.2, seed=seed))
    assert len({tuple(hold_out_groups(movies, truth[:, :1], seed=s)) for s in range(5)}) > 1


def test_mistakes(mesh1):
    data = made()
    with pytest.raises(ValueError, match="all examples are of one group"):
        hold_out_groups(np.zeros(205), data.truth)
    never = data._replace(truth=data.truth & (np.arange(4) != 2))
    with pytest.raises(ValueError, match=r"tag 2 has no examples .* to validate with"):
        fit_tag_probe(data, never, mesh=mesh1)
    broken = data._replace(features=np.where(np.arange(12) == 3, np.nan, data.features))
    with pytest.raises(ValueError, match="example 0 to learn from are not finite"):
        fit_tag_probe(broken, data, mesh=mesh1)
