"""Small tables of movies for tests."""

import numpy as np

from vujax.data.movies.records import Movies, Ratings

GENRES = ("Action", "Comedy", "Drama", "Horror", "War")
WORDS = ("heist", "ship", "wedding", "ghost", "river", "letter", "city", "dog", "queen", "train")


def made(n: int = 40, seed: int = 0, users: int = 25) -> Movies:
    """Movies of which some have no genres, no synopsis, no ratings."""
    rng = np.random.default_rng(seed)
    genres = [frozenset(rng.choice(GENRES, rng.integers(0, 4))) for _ in range(n)]
    texts = [" ".join(rng.choice(WORDS, rng.integers(0, 8))) for _ in range(n)]
    watched = rng.random((n, users)) < rng.random((n, 1)) * 0.6
    watched[3] = False
    movie, user = np.nonzero(watched)
    value = rng.integers(1, 11, len(movie)) / 2
    ratings = Ratings(user.astype(np.int32), movie.astype(np.int32), value.astype(np.float32))
    ids = tuple(f"tt{k:07d}" for k in range(n))
    lists = {ids[k]: [ids[j] for j in rng.choice(n, 4, replace=False)] for k in range(0, n, 2)}
    return Movies(
        ids, tuple(f"Movie {k}" for k in range(n)), tuple(genres), tuple(texts), ratings, lists
    )


def watched(movies: Movies) -> np.ndarray:
    """Matrix of users by watched movie, bool [movies users]."""
    table = np.zeros((len(movies), movies.ratings.user.max() + 1), bool)
    table[movies.ratings.movie, movies.ratings.user] = True
    return table
