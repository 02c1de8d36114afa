"""Each channel of movie similarity, compared with a few lines of numpy."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.movie_cases import GENRES, made, watched
from vujax.data.movies import channels
from vujax.data.movies.channels import Channel
from vujax.data.movies.records import Movies, Ratings

MOVIES = made()
N = len(MOVIES)


def off_diagonal(matrix: np.ndarray) -> np.ndarray:
    return np.where(np.eye(len(matrix), dtype=bool), 0, matrix)


def same(channel: Channel, wanted: np.ndarray) -> None:
    """In blocks, by numbers and all at once."""
    found = np.concatenate([channel.scores(slice(0, 7)), channel.scores(np.arange(7, N))])
    np.testing.assert_allclose(off_diagonal(found), off_diagonal(wanted), atol=1e-6)
    assert found.dtype == np.float32 and found.shape == (N, N)


def test_jaccard_of_genres() -> None:
    sets = MOVIES.genres
    wanted = [[len(a & b) / max(len(a | b), 1) for b in sets] for a in sets]
    channel = channels.genre_channel(MOVIES)
    same(channel, np.array(wanted))
    assert channel.known.tolist() == [bool(found) for found in sets] and not channel.known.all()


def test_idf_cosine_of_genres() -> None:
    table = np.array([[genre in found for genre in GENRES] for found in MOVIES.genres], float)
    known = table.any(axis=1)
    rows = table * (np.log((1 + known.sum()) / (1 + table.sum(axis=0))) + 1)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    same(channels.genre_channel(MOVIES, measure="idf"), rows @ rows.T)


def counts(movies: Movies) -> tuple[np.ndarray, np.ndarray, int]:
    table = watched(movies).astype(float)
    return table @ table.T, table.sum(axis=1), int(table.any(axis=0).sum())


@pytest.mark.parametrize("shrinkage", [0.0, 10.0])
def test_cosine_of_watchers(shrinkage: float) -> None:
    both, n, _ = counts(MOVIES)
    wanted = both / np.sqrt(np.maximum(np.outer(n, n), 1e-9))
    wanted *= np.divide(both, both + shrinkage, out=np.zeros_like(both), where=both > 0)
    channel = channels.cowatch_channel(MOVIES, shrinkage=shrinkage)
    same(channel, wanted)
    assert not channel.known[3]


def test_pmi_of_watchers() -> None:
    both, n, users = counts(MOVIES)
    wanted = np.zeros_like(both)
    for i, j in np.argwhere(both > 0):
        p = both[i, j] / users
        information = np.log(p / (n[i] / users * n[j] / users))
        wanted[i, j] = max(information / -np.log(p), 0) if p < 1 else 0
    wanted *= both / (both + 5)
    same(channels.cowatch_channel(MOVIES, measure="pmi", shrinkage=5), wanted)
    assert (wanted > 0).any()


def test_a_popular_movie_is_everybodys_neighbour_by_cosine_and_not_by_pmi() -> None:
    """Movie 0 is seen by all; 1 and 2 by the same half."""
    user = np.array([*range(20), *range(10), *range(10)], np.int32)
    movie = np.repeat([0, 1, 2], [20, 10, 10]).astype(np.int32)
    rest = (MOVIES.ids[:3], MOVIES.titles[:3], MOVIES.genres[:3], MOVIES.synopses[:3])
    movies = Movies(
        *rest,
        Ratings(user, movie, np.ones(40, np.float32)),
    )
    assert channels.cowatch_channel(movies, shrinkage=0).scores(slice(1, 2))[0, 0] > 0.7
    scores = channels.cowatch_channel(movies, measure="pmi", shrinkage=0).scores(slice(1, 2))[0]
    np.testing.assert_allclose(scores[[0, 2]], [0, 1], atol=1e-6)


def test_low_ratings_need_not_count_and_two_ratings_are_one_watch() -> None:
    values = MOVIES.ratings
    liked = values.value >= 3
    only = Ratings(values.user[liked], values.movie[liked], values.value[liked])
    twice = Ratings(*(np.tile(column, 2) for column in (only.user, only.movie, only.value)))
    rest = (MOVIES.ids, MOVIES.titles, MOVIES.genres, MOVIES.synopses)
    wanted = channels.cowatch_channel(Movies(*rest, only)).scores(slice(None))
    for found in (
        channels.cowatch_channel(MOVIES, least=3),
        channels.cowatch_channel(Movies(*rest, twice)),
    ):
        np.testing.assert_allclose(found.scores(slice(None)), wanted, atol=1e-6)


def test_lists() -> None:
    rest = (MOVIES.ids[:4], MOVIES.titles[:4], MOVIES.genres[:4], MOVIES.synopses[:4])
    ids = MOVIES.ids
    movies = Movies(*rest, lists={ids[0]: [ids[2], ids[1]], ids[3]: ["tt999", ids[0]]})
    channel = channels.list_channel(movies)
    wanted = np.zeros((4, 4))
    wanted[0, 2], wanted[0, 1], wanted[3, 0] = 1, 1 / np.log2(3), 1 / np.log2(3)
    np.testing.assert_allclose(channel.scores(slice(0, 4)), wanted, atol=1e-6)
    assert channel.skipped == 1 and channel.known.tolist() == [True, False, False, True]


def test_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    rows = ["movie,similar,score", "tt0000000,tt0000001,2", "tt0000001,tt0000002,4", "tt1,tt2,9"]
    path.write_text("\n".join(rows))
    channel = channels.pair_channel(MOVIES, path=str(path))
    wanted = np.zeros((N, N))
    wanted[0, 1] = wanted[1, 0] = 0.5
    wanted[1, 2] = wanted[2, 1] = 1
    same(channel, wanted)
    assert channel.skipped == 1
    one_way = channels.pair_channel(MOVIES, path=str(path), symmetric=False)
    same(one_way, np.triu(wanted))
    path.write_text("movie,similar\ntt1,tt2\n")
    with pytest.raises(ValueError, match="none of its 1 pairs"):
        channels.pair_channel(MOVIES, path=str(path))


def test_what_cannot_be_is_refused_in_a_sentence() -> None:
    bare = Movies(MOVIES.ids, MOVIES.titles, MOVIES.genres, MOVIES.synopses)
    for make, why in (
        (
            lambda: channels.genre_channel(MOVIES, measure="dice"),
            "unknown measure 'dice'",
        ),
        (
            lambda: channels.cowatch_channel(MOVIES, measure="dice"),
            "unknown measure 'dice'",
        ),
        (lambda: channels.cowatch_channel(MOVIES, shrinkage=-1), "must not be negative"),
        (lambda: channels.cowatch_channel(bare), "needs ratings"),
        (lambda: channels.list_channel(bare), "needs more-like-this lists"),
    ):
        with pytest.raises(ValueError, match=why):
            make()
