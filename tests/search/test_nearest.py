"""Nearest neighbors compared with all sorted cosines."""

import numpy as np
import pytest

from vujax.search.nearest import Neighbor, find_nearest

RNG = np.random.default_rng(0)
FILMS = [(f"f{i}", RNG.normal(size=(n, 8)).astype(np.float32)) for i, n in enumerate((5, 1, 40, 9))]


def dense(query: np.ndarray, films: list) -> list[tuple[float, str, int]]:
    """Return all vectors, nearest first."""
    unit = lambda x: x / np.linalg.norm(x)  # noqa: E731
    found = [
        (float(unit(row.astype(np.float64)) @ unit(query.astype(np.float64))), film, number)
        for film, rows in films
        for number, row in enumerate(rows)
    ]
    return sorted(found, key=lambda one: (-one[0], *one[1:]))


def same(found: list[Neighbor], wanted: list[tuple[float, str, int]]) -> None:
    assert [(one.film, one.row) for one in found] == [one[1:] for one in wanted]
    np.testing.assert_allclose([one.cosine for one in found], [one[0] for one in wanted], atol=1e-6)


@pytest.mark.parametrize("top", [1, 7, 100])
def test_all_against_the_dense_list(top: int) -> None:
    query = 3 * RNG.normal(size=8).astype(np.float32)
    same(find_nearest(query, FILMS, top=top), dense(query, FILMS)[:top])


def test_the_query_is_left_out_and_no_film_takes_all() -> None:
    query = FILMS[2][1][6]
    assert find_nearest(query, FILMS, top=1)[0].cosine == pytest.approx(1)
    wanted, count = [], dict.fromkeys((film for film, _ in FILMS), 0)
    for one in dense(query, FILMS):
        if one[1:] != ("f2", 6) and count[one[1]] < 3:
            count[one[1]] += 1
            wanted.append(one)
    same(find_nearest(query, FILMS, top=20, per_film=3, exclude=("f2", 6)), wanted[:20])
    assert len(wanted) == 3 + 1 + 3 + 3


def test_equal_and_empty_vectors() -> None:
    films = [("b", np.ones((3, 2), np.float32)), ("a", np.zeros((2, 2), np.float32))]
    found = find_nearest(np.ones(2, np.float32), films, top=9)
    assert [(one.film, one.row) for one in found] == [
        ("b", 0),
        ("b", 1),
        ("b", 2),
        ("a", 0),
        ("a", 1),
    ]
    assert [one.cosine for one in found[3:]] == [0, 0]
    assert find_nearest(np.zeros(2, np.float32), films, top=1)[0].cosine == 0
    assert find_nearest(np.ones(2, np.float32), [], top=1) == []


def test_what_cannot_be_compared() -> None:
    query = np.ones(8, np.float32)
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        find_nearest(query, FILMS, top=0)
    with pytest.raises(ValueError, match="must be at least 1, got -1"):
        find_nearest(query, FILMS, top=1, per_film=-1)
    with pytest.raises(ValueError, match=r"embeddings \[2, 7\] of x do not match the query \[8\]"):
        find_nearest(query, [("x", np.ones((2, 7), np.float32))], top=1)
    with pytest.raises(ValueError, match="an embedding of x is not finite"):
        find_nearest(query, [("x", np.full((2, 8), np.nan, np.float32))], top=1)
