"""The threshold of a trained head: chosen on films that its fold's head did not learn from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.data.boundary_films import MemoryFilm
from vujax.scenes import train_head as module
from vujax.scenes.head import BoundaryHead
from vujax.scenes.train_head import choose_threshold, train_head

HEAD = dict(kind="similarity", reach=3, hidden=[8])
STARTS = np.array([1, 0, 0, 1, 0, 0])
LEARNED = np.where(STARTS, 0.9, 0.5)  # scores of a film that a head has learned: sure of it
UNSEEN = np.where(STARTS, 0.4, 0.1)  # of another film: a lower threshold suits


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """Heads that only remember what they learned from; (film, what its head knew) as scored."""
    calls: list[tuple[str, tuple[str, ...]]] = []

    def score(head: BoundaryHead, film: MemoryFilm) -> np.ndarray:
        known = head.variables["params"]
        calls.append((film.film, known))
        return LEARNED if film.film in known else UNSEEN

    def windows(films: Sequence[MemoryFilm], **options: Any) -> tuple[str, ...]:
        return tuple(film.film for film in films)

    monkeypatch.setattr(module, "BoundaryWindows", windows)
    monkeypatch.setattr(module, "fit_head", lambda rows, head, **recipe: rows)
    monkeypatch.setattr(module, "score_film", score)
    return calls


def films_of(count: int) -> list[MemoryFilm]:
    feature = {"feature": np.zeros((7, 4), np.float32)}
    return [MemoryFilm(f"film-{n}", feature, STARTS) for n in range(count)]


@pytest.mark.parametrize(("count", "folds"), [(5, 2), (3, 4), (4, 4), (2, 2)])
def test_each_film_is_scored_once_by_a_head_that_never_saw_it(scored, count, folds) -> None:
    films = films_of(count)
    names = {film.film for film in films}
    head = train_head(films, HEAD, folds=folds)
    assert sorted(film for film, _ in scored) == sorted(names)
    for film, known in scored:
        fold = {other for other, by in scored if by == known}
        assert film not in known and known and set(known) == names - fold
    assert set(head.variables["params"]) == names  # the head itself learns from all


def test_the_threshold_is_that_of_unseen_films(scored) -> None:
    unseen = choose_threshold([UNSEEN] * 4, [STARTS] * 4)
    learned = choose_threshold([LEARNED] * 4, [STARTS] * 4)
    assert 0.1 <= unseen < 0.4 < 0.5 <= learned < 0.9
    assert train_head(films_of(4), HEAD, folds=2).threshold == unseen


@pytest.mark.parametrize(("count", "folds"), [(1, 4), (5, 0), (5, 1)])
def test_without_folds_the_threshold_is_one_half(scored, count, folds) -> None:
    assert train_head(films_of(count), HEAD, folds=folds).threshold == 0.5 and not scored
