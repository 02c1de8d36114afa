"""Intervals by hand, by simulation, and their errors."""

import numpy as np
import pytest

from vujax.evals.metrics.bootstrap import (
    bootstrap,
    paired_bootstrap,
    student_interval,
    wilson_interval,
)


def test_wilson_equals_published_and_scipy_numbers():
    # Newcombe 1998 (Statistics in Medicine 17:857), Table I: 81/263 and 0/20.
    assert wilson_interval(81, 263) == pytest.approx((81 / 263, 0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0, 0, 0.1611), abs=5e-5)
    from scipy.stats import binomtest

    for successes, n, level in ((1, 29, 0.95), (480, 500, 0.9), (29, 29, 0.99)):
        expected = binomtest(successes, n).proportion_ci(level, method="wilson")
        assert wilson_interval(successes, n, level=level)[1:] == pytest.approx(tuple(expected))


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_proportion(successes, n):
    with pytest.raises(ValueError, match="are not a proportion"):
        wilson_interval(successes, n)


def test_student_equals_scipy():
    from scipy.stats import sem, t

    values = np.array([0.31, 0.35, 0.28])
    expected = t.interval(0.9, 2, loc=values.mean(), scale=sem(values))
    assert student_interval(values, level=0.9)[1:] == pytest.approx(expected)
    assert student_interval(values[:1])[1:] == (-np.inf, np.inf)


def test_bootstrap_of_many_examples_approaches_the_normal_interval():
    values = np.random.default_rng(0).random(4000)
    found = bootstrap(values, resamples=4000)
    half = 1.96 * values.std() / np.sqrt(4000)
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.06 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.06 * half)


def test_bootstrap_equals_scipy_in_width():
    from scipy.stats import bootstrap as scipy_bootstrap

    values = np.random.default_rng(1).exponential(size=60)
    options = {"n_resamples": 4000, "method": "percentile", "rng": np.random.default_rng(0)}
    expected = scipy_bootstrap((values,), np.mean, **options).confidence_interval
    found = bootstrap(values, resamples=4000)
    assert found[1:] == pytest.approx(tuple(expected), abs=0.02)


def test_same_seed_same_interval_and_chunks_do_not_matter():
    values = np.random.default_rng(0).random((3, 50))
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3)
    assert bootstrap(values, seed=3) != bootstrap(values, seed=4)
    assert bootstrap(values, resamples=333).low < values.mean()


def test_seeds_that_differ_widen_the_interval():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4, 500)) * 0.1
    same, different = noise, noise + np.array([[-1.0], [-0.3], [0.3], [1.0]])
    narrow, wide = bootstrap(same), bootstrap(different)
    assert wide.high - wide.low > 10 * (narrow.high - narrow.low)


def test_pairing_removes_the_examples_difficulty():
    rng = np.random.default_rng(0)
    difficulty = rng.normal(size=300)
    ours = difficulty + 0.1 + rng.normal(size=(3, 300)) * 0.1
    theirs = difficulty + rng.normal(size=(3, 300)) * 0.1
    paired = paired_bootstrap(ours, theirs)
    assert 0.05 < paired.low < paired.estimate < paired.high < 0.15
    assert bootstrap(ours).low < bootstrap(theirs).high  # apart, they overlap
    with pytest.raises(ValueError, match="one shape"):
        paired_bootstrap(ours, theirs[:2])


def test_whole_clusters_are_drawn():
    rng = np.random.default_rng(0)
    values, names = rng.random((2, 12)), np.array(list("aaaaabbbccdd"))
    alone = bootstrap(values, clusters=np.arange(12))
    assert alone == pytest.approx(bootstrap(values), abs=1e-12)
    found = bootstrap(values, clusters=names, resamples=300, seed=5)
    draws = np.random.default_rng(5)  # the same draws, and the mean of what is drawn, plainly
    means = []
    for count in (200, 100):
        seeds = draws.multinomial(2, [0.5, 0.5], size=count)
        clusters = draws.multinomial(4, [0.25] * 4, size=count)
        for s, c in zip(seeds, clusters, strict=True):
            times = np.outer(s, [c["abcd".index(name)] for name in names])
            means.append((times * values).sum() / times.sum())
    assert found[1:] == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))
    alike = np.repeat(rng.normal(size=40), 10)
    of, many = bootstrap(alike, clusters=np.arange(400) // 10), bootstrap(alike)
    assert of.high - of.low > 2.5 * (many.high - many.low)
    difference = paired_bootstrap(alike + 1, alike, clusters=np.arange(400) // 10)
    assert difference == pytest.approx((1, 1, 1))
    with pytest.raises(ValueError, match="3 clusters are given for 12 examples"):
        bootstrap(values, clusters=np.arange(3))
