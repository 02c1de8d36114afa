"""Faiss and LanceDB: agreement with exact search on easy vectors, filters, storage."""

import importlib.util
import os
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from vujax.search.backends import base, lance
from vujax.search.backends.base import NOT_FOUND, Neighbors
from vujax.search.backends.exact import Exact
from vujax.search.backends.faiss import Faiss
from vujax.search.backends.lance import Lance
from vujax.search.recall import BackendMetrics, compute_recall, measure_backend
from vujax.utils.arrays import l2_normalize

COUNT, DIM = 3000, 24
EXTRAS = {"faiss": "ann", "lancedb": "lance"}


def needs(package: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"extra [{EXTRAS[package]}] is missing: {package}")


SEARCHERS = [pytest.param(Faiss, marks=needs("faiss")), pytest.param(Lance, marks=needs("lancedb"))]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, DIM))
    rows = centres[rng.integers(0, 60, COUNT)] + 0.4 * rng.normal(size=(COUNT, DIM))
    return l2_normalize(rows).astype(np.float32)


@pytest.fixture(scope="module")
def queries(vectors: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=(20, DIM))
    return l2_normalize(vectors[::150] + 0.1 * noise).astype(np.float32)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let backends apply filters, and LanceDB build an index."""
    monkeypatch.setattr(base, "DENSE_ROWS", 30)
    monkeypatch.setattr(base, "DENSE_SHARE", 0.0)
    monkeypatch.setattr(lance, "FLAT_ROWS", 1000)


@pytest.mark.usefixtures("graphs")
@pytest.mark.parametrize("kind", SEARCHERS)
def test_it_finds_what_exact_search_finds(
    kind: type, vectors: np.ndarray, queries: np.ndarray, tmp_path: Path, mesh1: jax.sharding.Mesh
) -> None:
    made, exact = kind(vectors, tmp_path), Exact(vectors, mesh1)
    truth = exact.search(queries, 10)
    found = made.search(queries, 10)
    assert compute_recall(vectors, queries, found, truth) > 0.97
    products = np.take_along_axis(queries @ vectors.T, found.rows, axis=1)
    np.testing.assert_allclose(found.scores, products, atol=1e-5)
    assert (np.diff(found.scores, axis=1) <= 0).all()
    for share in (0.4, 0.05):
        mask = np.random.default_rng(2).random(COUNT) < share
        found = made.search(queries, 10, mask)
        assert mask[found.rows].all()
        assert compute_recall(vectors, queries, found, exact.search(queries, 10, mask)) > 0.95
    few = np.zeros(COUNT, bool)
    few[[5, 700, 2999]] = True
    found = made.search(queries, 10, few)
    np.testing.assert_array_equal(found.rows, exact.search(queries, 10, few).rows)
    assert (found.rows[:, 3:] == NOT_FOUND).all()
    assert (made.search(queries, 10, np.zeros(COUNT, bool)).rows == NOT_FOUND).all()


@pytest.mark.usefixtures("graphs")
@pytest.mark.parametrize("kind", SEARCHERS)
def test_all_rows_are_found_when_all_are_asked_for(
    kind: type, vectors: np.ndarray, queries: np.ndarray, tmp_path: Path
) -> None:
    found = kind(vectors[:1200], tmp_path).search(queries[:2], 1300)
    assert sorted(found.rows[0, :1200]) == list(range(1200))
    assert (found.rows[:, 1200:] == NOT_FOUND).all()


@needs("faiss")
def test_a_graph_is_built_once(vectors: np.ndarray, queries: np.ndarray, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    one = Faiss(vectors, tmp_path, report=lambda *both: told.append(both))
    assert told == [(COUNT, COUNT)]
    (path,) = tmp_path.iterdir()
    (tmp_path / f".{path.name}.{1 << 22}.tmp").touch()  # of a process that is no more
    two = Faiss(vectors, tmp_path, report=lambda *both: told.append(both))
    assert len(told) == 1
    found = one.search(queries, 5)
    np.testing.assert_array_equal(two.search(queries, 5).rows, found.rows)
    Faiss(vectors[:100], tmp_path, report=lambda *both: told.append(both))  # of other vectors
    assert told[1:] == [(100, 100)]
    os.truncate(path, 1000)
    three = Faiss(vectors, tmp_path, report=lambda *both: told.append(both))
    assert told[2:] == [(COUNT, COUNT)]
    np.testing.assert_array_equal(three.search(queries, 5).rows, found.rows)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert Faiss(vectors, None).search(queries, 5).rows.shape == (20, 5)


@needs("lancedb")
def test_a_table_is_written_once(
    vectors: np.ndarray, queries: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f".old.ab.{1 << 22}.tmp").mkdir()  # of a process that is no more
    found = Lance(vectors, tmp_path).search(queries, 5)
    with monkeypatch.context() as patched:
        patched.setattr(lance, "_make", None)
        np.testing.assert_array_equal(Lance(vectors, tmp_path).search(queries, 5).rows, found.rows)
    Lance(vectors[:100], tmp_path)  # of other vectors
    assert Lance(vectors[:100], tmp_path).search(queries, 5).rows.max() < 100
    assert [p.name for p in tmp_path.iterdir()] == ["lance"]
    with pytest.raises(ValueError, match="needs a writable catalog"):
        Lance(vectors, None)


@pytest.mark.parametrize(("kind", "package"), [(Faiss, "faiss"), (Lance, "lancedb")])
def test_a_missing_package_is_named(
    kind: type, package: str, vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"vujax\[{EXTRAS[package]}\]"):
        kind(vectors, None)


def test_recall() -> None:
    vectors = np.eye(4, dtype=np.float32)
    query = np.float32([[4, 3, 2, 2]]) / np.sqrt(np.float32(33))
    exact = Neighbors(query[:, :3].copy(), np.array([[0, 1, 2]]))

    def found(*rows: int) -> float:
        return compute_recall(
            vectors, query, Neighbors(np.zeros((1, 3), np.float32), np.array([rows])), exact
        )

    assert found(2, 1, 0) == 1
    assert found(0, 1, 3) == 1  # as near as the third
    assert found(0, 0, 0) == pytest.approx(1 / 3)
    assert found(3, NOT_FOUND, NOT_FOUND) == pytest.approx(1 / 3)
    none = Neighbors(np.full((1, 3), -np.inf, np.float32), np.full((1, 3), NOT_FOUND))
    assert compute_recall(vectors, query, none, none) == 1


def test_a_searcher_is_measured(vectors: np.ndarray, queries: np.ndarray) -> None:
    class Half:
        name = "half"

        def search(self, queries: np.ndarray, k: int, mask: np.ndarray | None = None) -> Neighbors:
            assert len(queries) == 1
            found = base.search_rows(vectors, queries, k, np.arange(COUNT))
            found.rows[:, k // 2 :] = NOT_FOUND
            return found

    truth = base.search_rows(vectors, queries, 10, np.arange(COUNT))
    found = measure_backend(Half(), vectors, queries, 10, truth)
    assert isinstance(found, BackendMetrics)
    assert found.recall == pytest.approx(0.5)
    assert 0 < found.p50_ms <= found.p99_ms
