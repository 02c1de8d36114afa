"""The tool that times search, on few vectors."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the script."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    return importlib.import_module("bench_search")


def test_the_truth_is_the_dense_one(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "BLOCK", 64)
    bench.generate(tmp_path, 200, 24, 5, 10)
    vectors = np.fromfile(tmp_path / "vectors.bin", np.float32).reshape(200, 24)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    scores = np.load(tmp_path / "queries.npy").astype(np.float64) @ vectors.T.astype(np.float64)
    with np.load(tmp_path / "truth.npz") as truth:
        np.testing.assert_array_equal(truth["rows"], np.argsort(-scores, axis=1)[:, :10])


@pytest.mark.parametrize("side", ["exact", "exact-bfloat16", "numpy", "flat", "faiss"])
def test_a_side_is_measured(
    bench: ModuleType,
    side: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if side in ("flat", "faiss"):
        pytest.importorskip("faiss", reason="extra [ann] is missing")
    numbers = ["--count", "300", "--dim", "24", "--queries", "4", "-k", "5"]
    words = ["bench", *numbers, "--sides", side, "--work", str(tmp_path), "--here"]
    monkeypatch.setattr(sys, "argv", words)
    bench.main()
    found = json.loads(capsys.readouterr().out)
    assert (found["side"], found["count"], found["k"]) == (side, 300, 5)
    assert found["recall"] > (0.85 if side == "exact-bfloat16" else 0.99)
    assert found["p50_ms"] <= found["p99_ms"]
    assert found["cpu_ms"] > 0
    assert 0 < found["own_mib"] <= found["peak_mib"]
