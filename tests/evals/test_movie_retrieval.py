"""Retrieval of movies: against the full matrix, ties at random, leaks refused."""

import numpy as np
import pytest

from tests.data.movie_cases import made
from vujax.data.movies.similarity import build_similarity
from vujax.evals import movie_retrieval
from vujax.evals.metrics.bootstrap import paired_bootstrap
from vujax.evals.movie_retrieval import (
    average_movie_embeddings,
    check_held_out,
    co_watch_relevance,
    genre_relevance,
    retrieve,
)

MOVIES = made()


def vectors(n=40, d=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) * 10


def dense(x, right, groups, ks):
    """Rank by all cosines at once, with a sorted list for each query; without ties."""
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines, rows = units @ units.T, {}
    for item in range(len(x)):
        others = [j for j in np.argsort(-cosines[item]) if groups[j] != groups[item]]
        hits = np.array([right[item, j] for j in others])
        if hits.any():
            places = np.flatnonzero(hits) + 1
            ap = np.mean([(n + 1) / place for n, place in enumerate(places)])
            rows[item] = [ap, *(hits[:k].sum() / hits.sum() for k in ks)]
    return rows


@pytest.mark.parametrize("scenes", [1, 3])
@pytest.mark.parametrize("cells", [1, 97, 10**6])
def test_against_the_whole_matrix(scenes, cells, monkeypatch):
    """Check a movie a row, and three scenes a movie, which may not find each other."""
    monkeypatch.setattr(movie_retrieval, "CELLS", cells)
    genres = [g for g in MOVIES.genres for _ in range(scenes)]
    groups = np.repeat(np.arange(40), scenes)
    x, relevant = vectors(40 * scenes), genre_relevance(genres)
    found = retrieve(x, relevant, groups=groups, ks=(1, 5))
    want = dense(x, relevant(np.arange(len(x))), groups, (1, 5))
    assert found.queries.tolist() == list(want)
    mine = np.stack([found.ap, found.recall[1], found.recall[5]], 1)
    np.testing.assert_allclose(mine, list(want.values()))
    assert found.num_without == sum(not g for g in genres) == len(x) - len(want)
    assert set(found.ranked) == {len(x) - scenes}


def test_rules_of_genres():
    genres = [["a", "b"], ["b", "a"], ["a"], ["c"], [], []]
    every = np.arange(6)
    by_any, primary, jaccard, strict = (
        genre_relevance(genres, *rule)(every)
        for rule in (("any",), ("primary",), ("jaccard", 0.5), ("jaccard", 0.51))
    )
    assert by_any[0].tolist() == [True, True, True, False, False, False]
    assert primary[0].tolist() == [True, False, True, False, False, False]
    assert jaccard[2].tolist() == [True, True, True, False, False, False]
    assert strict[2].tolist() == [False, False, True, False, False, False]
    assert not any(table[4].any() or table[:, 4].any() for table in (by_any, primary, jaccard))
    reference = np.array(
        [[len(set(a) & set(b)) >= 0.5 * len(set(a) | set(b)) > 0 for b in genres] for a in genres]
    )
    np.testing.assert_array_equal(jaccard, reference)


def test_co_watched_are_the_most_similar_of_those_that_are_scored():
    similarity = build_similarity(MOVIES, {"cowatch": {}})
    chosen = [MOVIES.ids[k] for k in range(39, 4, -2)]
    found = co_watch_relevance(similarity, chosen, top=3)(np.arange(len(chosen)))
    places = [MOVIES.ids.index(movie) for movie in chosen]
    scores = similarity.scores(slice(None))[np.ix_(places, places)]
    for row, mine in zip(scores, found, strict=True):
        assert mine.sum() == min(3, (row > 0).sum())
        if mine.any():
            assert row[mine].min() >= np.sort(row)[-3] - 1e-6
    assert not found.diagonal().any()
    retrieve(vectors(len(chosen)), co_watch_relevance(similarity, chosen, top=3))
    with pytest.raises(KeyError, match="the movie tt9 is not in the similarity"):
        co_watch_relevance(similarity, ["tt9"])


def test_equal_scores_are_chance():
    relevant = genre_relevance(MOVIES.genres)
    found = retrieve(np.ones((40, 6)), relevant, ks=(1, 5, 50))
    for ours, theirs in zip(
        found.recall.values(), found.random_baseline().recall.values(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs)
    np.testing.assert_allclose(found.ap, found.random_baseline().ap)
    assert found.random_baseline().summary()["recall@1"] == pytest.approx(1 / 39)


def test_ties_are_in_random_order():
    scores = np.array([5.0, 3, 3, 3, 3, 1])
    right = np.array([False, True, False, True, False, True])
    rng = np.random.default_rng(0)
    orders = [np.lexsort((rng.random(6), -scores)) for _ in range(4000)]
    for k in range(1, 7):
        expected = np.mean([right[order[:k]].sum() / 3 for order in orders])
        assert movie_retrieval._recall(scores, right, k) == pytest.approx(expected, abs=0.02)


def test_vectors_of_movies_weigh_scenes_alike():
    scenes = np.array([[100.0, 0], [0, 1], [3, 4], [0, 0]])
    found = average_movie_embeddings(scenes, np.array([0, 0, 1, 2]))
    np.testing.assert_allclose(found, [[0.5**0.5, 0.5**0.5], [0.6, 0.8], [0, 0]])
    with pytest.raises(ValueError, match="movie 1 has no embedding"):
        average_movie_embeddings(scenes, np.array([0, 0, 2, 2]))


def test_two_systems_are_compared_query_by_query():
    """Make embeddings that reveal genres, and noise."""
    names = sorted(set().union(*MOVIES.genres))
    good = np.array([[name in found for name in names] for found in MOVIES.genres])
    relevant = genre_relevance(MOVIES.genres)
    ours, theirs = retrieve(good, relevant), retrieve(vectors(), relevant)
    assert ours.summary()["map"] == 1  # who shares no genre has a cosine of 0
    assert paired_bootstrap(ours.ap, theirs.ap).low > 0.1
    assert paired_bootstrap(theirs.ap, theirs.random_baseline().ap).low < 0.1


def test_mistakes():
    relevant = genre_relevance(MOVIES.genres)
    with pytest.raises(ValueError, match="the embedding of item 7 is not finite"):
        retrieve(np.where(np.arange(40)[:, None] == 7, np.nan, vectors()), relevant)
    with pytest.raises(ValueError, match="none of 2 items has a relevant one"):
        retrieve(vectors(2), genre_relevance([["a"], ["b"]]))
    with pytest.raises(ValueError, match="'same'; expected one of: any, primary, jaccard"):
        genre_relevance(MOVIES.genres, "same")
    with pytest.raises(ValueError, match="sets of genres have no first one"):
        genre_relevance(MOVIES.genres, "primary")
    with pytest.raises(ValueError, match="must be above 0 and at most 1, got 0"):
        genre_relevance(MOVIES.genres, "jaccard", 0)
    with pytest.raises(ValueError, match="1 of 2 movies were trained on, such as b"):
        check_held_out(["a", "b"], {"b", "c"})
    check_held_out(["a"], {"b"})
