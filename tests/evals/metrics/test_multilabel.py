"""Tag scores against loops over all thresholds and scikit-learn."""

import numpy as np
import pytest

from vujax.evals.metrics.bootstrap import bootstrap
from vujax.evals.metrics.multilabel import (
    choose_thresholds,
    compute_example_ap,
    compute_tag_baselines,
    map_interval,
    score_tags,
)


def made(n=60, tags=5, levels=8, seed=0):
    """Make scores with many ties; no example has the last tag; a fifth is not known."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, tags)) < 0.3
    truth[:, -1] = False
    scores = np.floor((rng.random((n, tags)) * 0.7 + 0.3 * truth) * levels) / levels
    return scores, truth, rng.random((n, tags)) < 0.8


def dense_ap(scores, truth):
    """Precision and recall of calling everything from each score on."""
    area, before = 0.0, 0.0
    for level in sorted(set(scores.tolist()), reverse=True):
        hits = sum(t for s, t in zip(scores, truth, strict=True) if s >= level)
        recall = hits / truth.sum()
        area += (recall - before) * hits / (scores >= level).sum()
        before = recall
    return area


def dense_f1(called, truth):
    return 2 * (called & truth).sum() / max(called.sum() + truth.sum(), 1)


def test_scores_of_each_tag_and_their_means():
    scores, truth, known = made()
    thresholds = np.linspace(0.3, 0.6, 5)
    found = score_tags(scores, truth, known=known, thresholds=thresholds)
    for t in range(4):
        mine = known[:, t]
        s, y = scores[mine, t], truth[mine, t]
        assert found.ap[t] == pytest.approx(dense_ap(s, y))
        assert found.f1[t] == pytest.approx(dense_f1(s >= thresholds[t], y))
        assert found.random_ap[t] == pytest.approx(y.mean())
    assert np.isnan(found.ap[4]) and np.isnan(found.f1[4]) and found.support[4] == 0
    summary = found.summary()
    assert summary["map"] == pytest.approx(found.ap[:4].mean())
    assert summary["f1"] == pytest.approx(found.f1[:4].mean())
    assert summary["micro_map"] == pytest.approx(dense_ap(scores[known], truth[known]))
    called = (scores >= thresholds)[known]
    assert summary["micro_f1"] == pytest.approx(dense_f1(called, truth[known]))
    assert summary["tags"] == 4


def test_what_is_not_known_counts_nowhere():
    scores, truth, known = made()
    other = np.where(known, truth, ~truth)
    noise = np.where(known, scores, np.nan)
    mine, theirs = (
        score_tags(s, t, known=known, thresholds=np.full(5, 0.5))
        for s, t in ((scores, truth), (noise, other))
    )
    np.testing.assert_equal(mine, theirs)


@pytest.mark.parity
def test_average_precision_is_that_of_scikit_learn():
    from sklearn.metrics import average_precision_score

    scores, truth, _ = made()
    scores, truth = scores[:, :4], truth[:, :4]
    found = score_tags(scores, truth)
    theirs = average_precision_score(truth, scores, average=None)
    np.testing.assert_allclose(found.ap, theirs, rtol=1e-12)
    for average, mine in (("macro", "map"), ("micro", "micro_map")):
        want = average_precision_score(truth, scores, average=average)
        assert found.summary()[mine] == pytest.approx(want)
    some = truth.any(1)
    want = average_precision_score(truth[some], scores[some], average="samples")
    assert np.nanmean(compute_example_ap(scores, truth)) == pytest.approx(want)


def test_thresholds_have_the_best_f1():
    scores, truth, known = made()
    found = choose_thresholds(scores, truth, known=known)
    for t in range(4):
        s, y = scores[known[:, t], t], truth[known[:, t], t]
        best = max(dense_f1(s >= level, y) for level in s)
        assert dense_f1(s >= found[t], y) == pytest.approx(best)
        assert np.abs(s - found[t]).min() > 0.01  # between two scores, not on one
        higher = [level for level in s if level > found[t]]
        called = min(higher)
        assert all(dense_f1(s >= level, y) < best for level in higher if level > called)
    assert found[4] == np.inf


def test_chance_and_prior():
    _, truth, known = made()
    found = compute_tag_baselines(truth, np.array([0.9, 0.1, 0.2, 0.3, 0.0]), known=known)
    share = [truth[known[:, t], t].mean() for t in range(4)]
    assert found["chance"]["map"] == found["prior"]["map"] == pytest.approx(np.mean(share))
    assert found["chance"]["micro_map"] == pytest.approx(truth[known].mean())
    assert found["prior"]["micro_map"] != found["chance"]["micro_map"]
    assert found["chance"]["f1"] == pytest.approx(np.mean([2 * p / (1 + p) for p in share]))


def test_each_example_ranks_its_tags():
    scores = np.array([[0.9, 0.5, 0.1], [0.2, 0.2, 0.1], [0.1, 0.2, 0.3]])
    truth = np.array([[True, False, True], [False, True, False], [False] * 3])
    np.testing.assert_allclose(compute_example_ap(scores, truth), [(1 + 2 / 3) / 2, 0.5, np.nan])
    known = np.array([[True, False, True]] * 3)
    assert compute_example_ap(scores, truth, known=known)[0] == 1


def dense_map(scores, truth, known, movies, drawn):
    rows = np.concatenate([np.flatnonzero(movies == movie) for movie in drawn])
    return score_tags(scores[rows], truth[rows], known=known[rows]).summary()["map"]


def test_intervals_over_movies_are_those_of_repeated_examples():
    scores, truth, known = made()
    others = np.random.default_rng(5).random(scores.shape)
    movies = np.arange(60) % 7
    draws = np.random.default_rng(3).multinomial(7, np.full(7, 1 / 7), size=40)
    drawn = [np.repeat(np.arange(7), times) for times in draws]
    ours, theirs = (
        np.array([dense_map(s, truth, known, movies, d) for d in drawn]) for s in (scores, others)
    )
    options = dict(known=known, resamples=40, seed=3)
    found = map_interval(scores, truth, movies, **options)
    whole = score_tags(scores, truth, known=known).summary()["map"]
    np.testing.assert_allclose(found, [whole, *np.quantile(ours, [0.025, 0.975])])
    paired = map_interval(scores, truth, movies, against=others, **options)
    np.testing.assert_allclose(paired[1:], np.quantile(ours - theirs, [0.025, 0.975]))
    assert map_interval(scores, truth, movies, against=scores, **options) == (0, 0, 0)


def test_seeds_are_drawn_too():
    _, truth, known = made()
    runs = np.stack([made(seed=seed)[0] for seed in range(3)])
    movies = np.arange(len(truth)) // 3
    found = map_interval(runs, truth, movies, known=known)
    whole = [score_tags(run, truth, known=known).summary()["map"] for run in runs]
    np.testing.assert_allclose(found.estimate, np.mean(whole))
    same = map_interval(runs[[0, 0, 0]], truth, movies, known=known)
    np.testing.assert_allclose(same, map_interval(runs[0], truth, movies, known=known))
    assert map_interval(runs, truth, movies, known=known, against=runs) == (0, 0, 0)


def test_each_example_has_a_value_for_the_bootstrap():
    scores, truth, _ = made()
    values = compute_example_ap(scores, truth)
    found = bootstrap(values[~np.isnan(values)])
    assert found.low < found.estimate < found.high


@pytest.mark.parametrize(
    ("scores", "truth", "why"),
    [
        (np.ones((2, 3)), np.ones((2, 2), bool), r"\[n t\] each, got \[\[2, 3\], \[2, 2\]"),
        (np.array([[0, 1], [np.nan, 1]]), np.ones((2, 2), bool), "example 1 for tag 0 is NaN"),
    ],
)
def test_mistakes(scores, truth, why):
    with pytest.raises(ValueError, match=why):
        score_tags(scores, truth)
