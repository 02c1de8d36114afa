"""Choice of the runtime, and results that arrive later."""

import threading

import jax
import numpy as np
import pytest

from vujax.models import inference
from vujax.utils.system import RUNTIME_VARIABLE


@pytest.mark.parametrize(
    ("wanted", "installed", "backend", "expected"),
    [
        (None, True, "cpu", "openvino"),
        ("auto", True, "cpu", "openvino"),
        ("auto", False, "cpu", "jax"),
        ("auto", True, "gpu", "jax"),
        ("jax", True, "cpu", "jax"),
        ("openvino", True, "gpu", "openvino"),
    ],
)
def test_the_runtime_is_chosen(
    wanted: str | None,
    installed: bool,
    backend: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference.importlib.util, "find_spec", lambda name: installed or None)
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    if wanted is None:
        monkeypatch.delenv(RUNTIME_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(RUNTIME_VARIABLE, wanted)
    assert inference.choose_runtime() == expected


def test_a_missing_or_unknown_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv(RUNTIME_VARIABLE, "openvino")
    with pytest.raises(ImportError, match=r"pip install 'vujax\[openvino\]'"):
        inference.choose_runtime()
    monkeypatch.setenv(RUNTIME_VARIABLE, "torch")
    with pytest.raises(ValueError, match="VUJAX_RUNTIME 'torch'"):
        inference.choose_runtime()


def test_jax_leaves_no_trace_in_a_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNTIME_VARIABLE, "jax")
    assert inference.describe_runtime() == {}


def test_results_arrive_in_order_and_later() -> None:
    ready = threading.Event()

    def double(x: np.ndarray) -> np.ndarray:
        ready.wait(10)
        return 2 * x

    later = inference.run_in_background(double)
    first, second = later(np.arange(3)), later(np.ones(2, np.float32))
    ready.set()
    np.testing.assert_array_equal(first, [0, 2, 4])
    assert np.asarray(second, np.float64).dtype == np.float64
    assert len(second) == 2


def test_an_error_is_raised_where_the_result_is_used() -> None:
    def fail(x: np.ndarray) -> np.ndarray:
        raise ValueError("no memory")

    with pytest.raises(ValueError, match="no memory"):
        np.asarray(inference.run_in_background(fail)(np.zeros(1)))
