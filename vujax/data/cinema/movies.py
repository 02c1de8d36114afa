"""The films of the cinema as movies, by what their set's truth says of them."""

import numpy as np

from vujax.data.cinema.edit import frame_rate
from vujax.data.cinema.films import set_truth
from vujax.data.cinema.truth import Settings, SetTruth
from vujax.data.movie_records import Movies, Ratings


def movies_of(truth: SetTruth, ids: tuple[str, ...] | None = None) -> Movies:
    """Genres, synopses and who watched what; ids are the films' names, or others in their order."""
    user, movie = np.nonzero(truth.watched())
    value = np.full(len(user), np.nan, np.float32)
    return Movies(
        ids or tuple(film.name for film in truth.films),
        tuple(film.title for film in truth.films),
        tuple(frozenset(film.genres) for film in truth.films),
        tuple(film.synopsis for film in truth.films),
        Ratings(user.astype(np.int32), movie.astype(np.int32), value),
    )


def cinema_set_movies(
    seed: int = 0,
    split: str = "train",
    films: int = 40,
    first: int = 0,
    minutes: float = 3.0,
    fps: int | str = 24,
) -> Movies:
    """The movies of `vujax.data.cinema.shots.open_cinema`, under the same ids; nothing is drawn."""
    # Of pictures and sound nothing is read.
    settings = Settings(seed, split, minutes, frame_rate(fps), 90, 160, 16000, 1)
    truth = set_truth(settings, first + films)
    there = tuple(f"cinema-{seed}-{split}-{number:04d}" for number in range(first + films))
    return movies_of(truth, there).only(there[first:])
