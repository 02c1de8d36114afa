"""The ground truth of sets: films, tastes and co-watches."""

import numpy as np

from vujax.data.synthetic.editing import compute_night_preference
from vujax.data.synthetic.films import has_watched, make_taste
from vujax.data.synthetic.world import make_film

FILMS = [make_film(0, "train", n) for n in range(120)]
GENRES = np.array([film.genre.name for film in FILMS])
NIGHTS = np.array([compute_night_preference(film) for film in FILMS])
TASTES = [make_taste(0, "train", user) for user in range(200)]


def _table() -> np.ndarray:
    return np.array(
        [
            [
                has_watched(taste, n, g, d)
                for n, (g, d) in enumerate(zip(GENRES, NIGHTS, strict=True))
            ]
            for taste in TASTES
        ]
    )


def test_users_watch_their_genres_and_hours():
    table = _table()
    liked = np.array([[g in taste.favourites for g in GENRES] for taste in TASTES])
    assert table[liked].mean() > 2.5 * table[~liked].mean() > 0.2
    fits = np.array([taste.nights for taste in TASTES])[:, None] * (2 * NIGHTS - 1)
    assert table[fits > 0.3].mean() > 1.5 * table[fits < -0.3].mean()


def test_films_of_a_genre_are_watched_together():
    """Compute the ratio of shared viewers of two films to that of independent draws."""
    table = _table().astype(float)
    together = table.T @ table / len(TASTES)
    lift = together / np.outer(table.mean(0), table.mean(0))
    same, pairs = GENRES[:, None] == GENRES, ~np.eye(len(FILMS), dtype=bool)
    assert lift[same & pairs].mean() > 1.2 * lift[~same].mean()
    assert lift[~same].mean() < 1.1


def test_two_users_with_the_same_favourites_agree_more():
    table = _table()
    overlap = np.corrcoef(table)
    shared = np.array([[len({*a.favourites} & {*b.favourites}) for a in TASTES] for b in TASTES])
    other = ~np.eye(len(TASTES), dtype=bool)
    means = [overlap[(shared == k) & other].mean() for k in (0, 1, 2)]
    assert means[0] < means[1] < means[2] and means[2] - means[0] > 0.15


def test_tastes_are_functions_of_their_key():
    assert TASTES[7] == make_taste(0, "train", 7)
    assert len({make_taste(s, "train", 7).nights for s in range(5)}) == 5
