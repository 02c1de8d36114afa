"""Neighbors: the union in plain numpy, held-out movies, fallback, order of the table."""

import numpy as np
import pytest

from tests.data.movie_cases import made
from vujax.data.movies import similarity as movies_module
from vujax.data.movies.records import Movies, Ratings
from vujax.data.movies.similarity import MovieNeighbors, build_similarity, find_neighbors

MOVIES = made()
UNION = {
    "genre": {},
    "synopsis": {"max_df": 1.0, "min_df": 1, "weight": 2.0},
    "cowatch": {"shrinkage": 3.0},
    "lists": {"weight": 0.5},
}


def named(found: MovieNeighbors) -> dict[str, list[str]]:
    return {
        movie: [found.ids[j] for j in row if j >= 0]
        for movie, row in zip(found.ids, found.index.tolist(), strict=True)
    }


def test_one_channel_keeps_its_scores() -> None:
    found = find_neighbors(MOVIES, {"genre": {"weight": 3}}, k=5)
    sets = MOVIES.genres
    for i, row in enumerate(found.index.tolist()):
        scores = sorted(
            (len(sets[i] & s) / max(len(sets[i] | s), 1) for j, s in enumerate(sets) if j != i),
            reverse=True,
        )[:5]
        np.testing.assert_allclose(found.score[i], scores, atol=1e-6)
        assert i not in row
    assert found.index.dtype == np.int32 and found.score.dtype == np.float32


def test_the_union_is_the_weighted_mean_of_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    similarity = build_similarity(MOVIES, UNION)
    total, weight = np.zeros((40, 40)), np.zeros(40)
    for name, channel in similarity.channels.items():
        scores = np.where(np.eye(40, dtype=bool), 0, channel.scores(slice(None)))
        share = UNION[name].get("weight", 1) / scores[channel.known].max(axis=1).mean()
        total += share * scores
        weight += share * channel.known
    wanted = total / np.maximum(weight, 1e-9)[:, None]
    np.testing.assert_allclose(similarity.scores(slice(None)), wanted, atol=1e-6)
    monkeypatch.setattr(movies_module, "BLOCK", 7)
    found = find_neighbors(MOVIES, UNION, k=6)
    np.testing.assert_allclose(found.score, -np.sort(-wanted, axis=1)[:, :6], atol=2e-6)
    assert wanted.max() <= 1


def test_held_out_movies_change_nothing_that_is_left() -> None:
    """With them held out all is as if they had never been: statistics, ties, counts."""
    rng = np.random.default_rng(1)
    held_out = set(rng.choice(MOVIES.ids, 12, replace=False)) | {"tt7777777"}
    left = MOVIES.exclude(held_out)
    odd = tuple(
        "Unheard words ship ship" if movie in held_out else text
        for movie, text in zip(MOVIES.ids, MOVIES.synopses, strict=True)
    )
    changed = Movies(MOVIES.ids, MOVIES.titles, MOVIES.genres, odd, MOVIES.ratings, MOVIES.lists)
    for table in (MOVIES, changed):
        for channels in (UNION, *({name: options} for name, options in UNION.items())):
            found = find_neighbors(table, channels, k=4, held_out=held_out)
            alone = find_neighbors(left, channels, k=4)
            assert not set(found.ids) & held_out and found.ids == alone.ids
            np.testing.assert_array_equal(found.index, alone.index)
            np.testing.assert_array_equal(found.score, alone.score)
            assert found.fallback == alone.fallback
    assert found.index.max() < len(left) and len(found.ids) == len(MOVIES) - 12


def test_the_order_of_the_table_means_nothing() -> None:
    order = np.random.default_rng(2).permutation(len(MOVIES))
    place = np.argsort(order).astype(np.int32)
    ratings = MOVIES.ratings
    turned = Movies(
        *(
            tuple(column[k] for k in order)
            for column in (MOVIES.ids, MOVIES.titles, MOVIES.genres, MOVIES.synopses)
        ),
        Ratings(ratings.user, place[ratings.movie], ratings.value),
        MOVIES.lists,
    )
    assert named(find_neighbors(turned, UNION, k=5)) == named(find_neighbors(MOVIES, UNION, k=5))
    other = find_neighbors(MOVIES, {"genre": {}}, k=5, seed=1)
    assert named(other) != named(find_neighbors(MOVIES, {"genre": {}}, k=5))


def test_what_is_not_known_is_left_to_the_other_channels_and_counted() -> None:
    genres = (frozenset({"War"}), frozenset(), frozenset({"War"}), frozenset())
    texts = ("a ship burns", "the ship burns", "", "")
    movies = Movies(("a", "b", "c", "d"), ("A", "B", "C", "D"), genres, texts)
    found = find_neighbors(movies, {"genre": {}, "synopsis": {"max_df": 1.0}}, k=2)
    assert named(found) == {"a": ["b", "c"], "b": ["a"], "c": ["a"], "d": []} or named(found) == {
        "a": ["c", "b"],
        "b": ["a"],
        "c": ["a"],
        "d": [],
    }
    assert found.fallback == {"genre": 2, "synopsis": 2, "similar to none": 1}
    assert found.score[1, 0] == pytest.approx(1)  # only its synopsis is known, and that agrees
    assert (found.index[3] == -1).all() and not found.score[3].any()


def test_a_movie_similar_to_none_and_tables_of_none() -> None:
    movies = Movies(("a", "b"), ("A", "B"), (frozenset({"War"}), frozenset({"Comedy"})), ("", ""))
    found = find_neighbors(movies, {"genre": {}}, k=3)
    assert (found.index == -1).all() and found.fallback == {"genre": 0, "similar to none": 2}
    nothing = find_neighbors(movies, {"genre": {}, "synopsis": {}}, k=3, held_out=("a", "b"))
    assert nothing.index.shape == (0, 3) and nothing.ids == ()


def test_mistakes_are_told_in_a_sentence() -> None:
    for channels, why in (
        ({}, "name a channel"),
        ({"style": {}}, "unknown channel 'style'"),
        ({"genre": {"shape": 1}}, "unknown option 'shape'"),
        ({"pairs": {}}, "needs the option path"),
        ({"genre": {"weight": 0}}, "must be positive, got 0"),
    ):
        with pytest.raises(ValueError, match=why):
            find_neighbors(MOVIES, channels, k=3)
    with pytest.raises(ValueError, match="k must be"):
        find_neighbors(MOVIES, {"genre": {}}, k=0)
    with pytest.raises(ValueError, match="duplicate movie 'a'"):
        Movies(("a", "a"), ("A", "B"), (frozenset(),) * 2, ("", ""))
    with pytest.raises(ValueError, match="columns of movies"):
        Movies(("a",), (), (frozenset(),), ("",))
    bad = Ratings(np.zeros(1, np.int32), np.full(1, 2, np.int32), np.ones(1, np.float32))
    with pytest.raises(ValueError, match=r"movies 2\.\.2 of 2"):
        Movies(("a", "b"), ("A", "B"), (frozenset(),) * 2, ("", ""), bad)


def test_ratings_are_joined_by_id() -> None:
    few = Movies(("tt0000005", "x"), ("A", "B"), (frozenset(),) * 2, ("", ""))
    joined = few.with_ratings_of(MOVIES)
    assert len(joined.ratings) == (MOVIES.ratings.movie == 5).sum() and set(
        joined.ratings.movie
    ) == {0}
    assert joined.skipped == {
        "ratings of movies that are not here": len(MOVIES.ratings) - len(joined.ratings)
    }
    with pytest.raises(ValueError, match="no rating is of these movies"):
        few.select(["x"]).with_ratings_of(MOVIES)
    with pytest.raises(ValueError, match="has no ratings"):
        MOVIES.with_ratings_of(few)
