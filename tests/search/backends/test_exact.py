"""Exact search compared with a dense product, on one and eight devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vujax.search.backends import exact
from vujax.search.backends.base import NOT_FOUND, search_rows, select_best
from vujax.search.backends.exact import Exact
from vujax.utils.arrays import l2_normalize


def vectors(n: int, d: int = 16, seed: int = 0) -> np.ndarray:
    return l2_normalize(np.random.default_rng(seed).normal(size=(n, d))).astype(np.float32)


def reference(
    rows: np.ndarray, queries: np.ndarray, k: int, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    scores = queries.astype(np.float64) @ rows.astype(np.float64).T
    if mask is not None:
        scores[:, ~mask] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(scores, order, axis=1)
    return found, np.where(np.isneginf(found), NOT_FOUND, order)


@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize(("n", "q", "k"), [(1, 1, 1), (7, 3, 3), (203, 5, 10), (1001, 1, 64)])
def test_it_is_the_dense_product(
    n: int, q: int, k: int, devices: int, mesh1: jax.sharding.Mesh, mesh8: jax.sharding.Mesh
) -> None:
    rows, queries = vectors(n), vectors(q, seed=1)
    found = Exact(rows, {1: mesh1, 8: mesh8}[devices]).search(queries, k)
    scores, numbers = reference(rows, queries, k)
    np.testing.assert_array_equal(found.rows, numbers)
    np.testing.assert_allclose(found.scores, scores, atol=3e-7)
    assert found.rows.dtype == np.int64
    assert found.scores.dtype == np.float32


@pytest.mark.parametrize("devices", [1, 8])
def test_equal_scores_come_in_order_of_rows(
    devices: int, mesh1: jax.sharding.Mesh, mesh8: jax.sharding.Mesh
) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(-1, 2, (300, 4)).astype(np.float32)  # products are exact, and often equal
    queries = rng.integers(-1, 2, (6, 4)).astype(np.float32)
    found = Exact(rows, {1: mesh1, 8: mesh8}[devices]).search(queries, 200)
    np.testing.assert_array_equal(found.rows, reference(rows, queries, 200)[1])


@pytest.mark.parametrize("share", [0.5, 0.02, 0.0])
def test_a_filter_hides_rows(share: float, mesh8: jax.sharding.Mesh) -> None:
    rows, queries = vectors(403), vectors(4, seed=1)
    mask = np.random.default_rng(2).random(403) < share
    found = Exact(rows, mesh8).search(queries, 20, mask)
    scores, numbers = reference(rows, queries, 20, mask)
    np.testing.assert_array_equal(found.rows, numbers)
    np.testing.assert_array_equal(np.isneginf(found.scores), np.isneginf(scores))
    assert (found.rows == NOT_FOUND).any() == (share < 0.05)


def test_more_are_asked_for_than_there_are(mesh8: jax.sharding.Mesh) -> None:
    rows = vectors(5)
    found = Exact(rows, mesh8).search(vectors(2, seed=1), 9)
    assert found.rows.shape == (2, 9)
    assert (found.rows[:, 5:] == NOT_FOUND).all()
    assert sorted(found.rows[0, :5]) == list(range(5))


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_vectors_of_16_bits(dtype: type, mesh8: jax.sharding.Mesh) -> None:
    rows, queries = vectors(203).astype(dtype), vectors(3, seed=1)
    found = Exact(rows, mesh8).search(queries, 10)
    scores, numbers = reference(rows.astype(np.float32), queries, 10)
    np.testing.assert_array_equal(found.rows, numbers)
    np.testing.assert_allclose(found.scores, scores, atol=3e-7)  # queries are not rounded


def test_many_queries_are_searched_in_parts(
    mesh8: jax.sharding.Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "MAX_SCORES", 100)  # three queries of 26 rows a device
    rows, queries = vectors(203), vectors(13, seed=1)
    found = Exact(rows, mesh8).search(queries, 10)
    np.testing.assert_array_equal(found.rows, reference(rows, queries, 10)[1])


def test_what_does_not_fit_is_refused(mesh1: jax.sharding.Mesh) -> None:
    searcher = Exact(vectors(5), mesh1)
    with pytest.raises(ValueError, match="do not match"):
        searcher.search(vectors(2, d=7), 3)
    with pytest.raises(ValueError, match="k must be"):
        searcher.search(vectors(2), 0)


def test_a_few_rows_on_the_host() -> None:
    rows, queries = vectors(50), vectors(3, seed=1)
    mask = np.arange(50) % 7 == 0
    found = search_rows(rows, queries, 10, np.flatnonzero(mask))
    scores, numbers = reference(rows, queries, 10, mask)
    np.testing.assert_array_equal(found.rows, numbers)
    np.testing.assert_allclose(found.scores, scores, atol=3e-7)
    both = select_best(np.array([[1.0, 3, 3, 9]]), np.array([[4, 8, 2, NOT_FOUND]]), 3)
    assert both.rows.tolist() == [[2, 8, 4]]
