"""Ranks and neighbors against plain numpy, with ties."""

import itertools

import chex
import numpy as np
import pytest

from tests.evals.fakes import unit_rows
from vujax.evals.metrics import ranking
from vujax.evals.metrics.ranking import NO_KEY, Ranks, Relation, find_nearest, rank_items


def by_hand(scores, right, copies):
    """Dense counts in float64 from how many copies of each item are right, `[q g]`."""
    wrong = copies - right
    best = np.where(right > 0, scores, -np.inf).max(1, keepdims=True)
    above, tied = scores > best + ranking.TIE, abs(scores - best) <= ranking.TIE
    counts = (above * wrong, tied * wrong, tied * right, wrong, right)
    return Ranks(*(c.sum(1) for c in counts))


def problem(q=37, g=50, d=6, seed=0):
    rng = np.random.default_rng(seed)
    queries, gallery = unit_rows(rng, q, d), unit_rows(rng, g, d)
    gallery[g // 2 : g // 2 + 5] = gallery[:5]  # exact ties
    query_keys = rng.integers(0, 20, (q, 2)).astype(np.int32)
    query_keys[::3, 1] = NO_KEY
    gallery_keys = rng.integers(0, 20, (g, 3)).astype(np.int32)
    gallery_keys[: g // 2, 2] = NO_KEY
    gallery_keys[:20, 0] = np.arange(20)  # every key has an item
    return queries, gallery, query_keys, gallery_keys, rng.integers(1, 4, g).astype(np.int32)


def test_counts_equal_dense_ones_for_any_chunks_and_devices(mesh1, mesh8, monkeypatch):
    queries, gallery, query_keys, gallery_keys, copies = problem()
    shared = (query_keys[:, None, :, None] == gallery_keys[None, :, None, :]) & (
        gallery_keys != NO_KEY
    )[None, :, None]
    shared = shared.sum((2, 3))
    scores = queries.astype(np.float64) @ gallery.T.astype(np.float64)
    expected = by_hand(scores, np.where(shared > 0, copies, 0), copies)
    for mesh, tile in itertools.product((mesh1, mesh8), (1, 3 * 50, 2**22)):
        monkeypatch.setattr(ranking, "TILE_ELEMENTS", tile)
        found = rank_items(
            queries, gallery, [Relation(query_keys, gallery_keys)], mesh=mesh, copies=copies
        )
        chex.assert_trees_all_equal(found[0], expected)
    assert expected.tied.any()
    assert expected.above.any()


def test_several_relations_are_counted_on_the_same_scores(mesh8):
    queries, gallery, *_ = problem()
    own, first = np.arange(37)[:, None], np.zeros((37, 1), np.int32)
    keys = np.arange(50)[:, None]
    relations = [Relation(own, keys), Relation(first, keys)]
    both = rank_items(queries, gallery, relations, mesh=mesh8)
    alone = [rank_items(queries, gallery, [r], mesh=mesh8)[0] for r in relations]
    chex.assert_trees_all_equal(both, alone)
    assert (both[0].above != both[1].above).any()


def test_copies_that_are_not_right_tie_with_those_that_are(mesh1):
    queries = gallery = np.eye(3, dtype=np.float32)
    keys = np.array([[0, 0], [1, NO_KEY], [2, NO_KEY]])
    relation = Relation(keys, np.arange(3)[:, None], all_copies=False)
    (ranks,) = rank_items(queries, gallery, [relation], mesh=mesh1, copies=np.array([5, 3, 1]))
    np.testing.assert_array_equal(ranks.right, [2, 1, 1])
    np.testing.assert_array_equal(ranks.tied, [3, 2, 0])
    np.testing.assert_array_equal(ranks.wrong, [7, 8, 8])


def test_expected_value_over_random_order_of_ties():
    ranks = Ranks(*(np.array([n]) for n in (2, 4, 2, 20, 3)))  # 2 above; 4 wrong and 2 right tie
    hits, places = np.zeros(12), []
    for order in set(itertools.permutations("wwwwrr")):
        place = 2 + order.index("r") + 1
        places.append(place)
        hits[place:] += 1
    hits /= len(places)
    for k in range(1, 12):
        assert ranks.hits_at(k)[0] == pytest.approx(hits[k])
    assert ranks.expected_rank()[0] == pytest.approx(np.mean(places))


def test_one_embedding_for_all_scores_exactly_chance(mesh8):
    rng = np.random.default_rng(0)
    same = np.repeat(unit_rows(rng, 1, 64), 40, 0)
    same = same + rng.normal(size=same.shape).astype(np.float32) * 3e-8  # rounding noise
    assert len(np.unique(same @ same.T)) > 1
    keys = np.arange(40)[:, None] // 2
    (ranks,) = rank_items(same, same, [Relation(keys, keys)], mesh=mesh8)
    chance = 1 - (38 * 37 * 36 * 35 * 34) / (40 * 39 * 38 * 37 * 36)
    np.testing.assert_allclose(ranks.hits_at(5), chance, rtol=1e-12)
    chex.assert_trees_all_equal(ranks, ranks.random_baseline())


def test_a_query_without_an_answer_is_an_error(mesh1):
    eye = np.eye(3, dtype=np.float32)
    with pytest.raises(ValueError, match="1 of 3 queries have no right answer"):
        rank_items(
            eye, eye, [Relation(np.array([[0], [7], [2]]), np.arange(3)[:, None])], mesh=mesh1
        )


@pytest.mark.usefixtures("optimized")
def test_nothing_of_size_n_by_n(mesh8):
    n = 20_000
    step = ranking._rank_rows(mesh8, ranking.TILE_ELEMENTS // n, (True,))
    rows = np.zeros((n, 16), np.float32)
    keys = np.zeros((n, 1), np.int32)
    compiled = step.lower(rows, [keys], rows, [keys], keys[:, 0]).compile()
    used = compiled.memory_analysis().temp_size_in_bytes
    assert used < 0.4 * (4 * n * n / 8)  # of what the scores of one device's queries would take


def test_nearest_equals_a_sort(mesh1, mesh8):
    queries, gallery, *_ = problem(q=21, g=33)
    exact = queries.astype(np.float64) @ gallery.T
    for mesh in (mesh1, mesh8):
        scores, found = find_nearest(queries, gallery, 4, mesh=mesh)
        np.testing.assert_allclose(scores, -np.sort(-exact, axis=1)[:, :4], atol=1e-6)
        np.testing.assert_allclose(np.take_along_axis(exact, found, 1), scores, atol=1e-6)
    assert find_nearest(queries, gallery[:3], 10, mesh=mesh1)[1].shape == (21, 3)


@pytest.mark.parity
def test_top_k_accuracy_is_that_of_scikit_learn(mesh8):
    from sklearn.metrics import top_k_accuracy_score

    rng = np.random.default_rng(0)
    images, classes, labels = (
        unit_rows(rng, 300, 8),
        unit_rows(rng, 12, 8),
        rng.integers(0, 12, 300),
    )
    (ranks,) = rank_items(
        images, classes, [Relation(labels[:, None], np.arange(12)[:, None])], mesh=mesh8
    )
    for k in (1, 3, 5):
        expected = top_k_accuracy_score(labels, images @ classes.T, k=k, labels=np.arange(12))
        assert ranks.hits_at(k).mean() == pytest.approx(expected)
