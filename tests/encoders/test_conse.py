"""ConSE against its formula."""

import numpy as np
import pytest

from vujax.encoders.lite import compute_conse


def dense(logits: np.ndarray, names: np.ndarray, top: int, temperature: float) -> np.ndarray:
    """The paper's sum, a picture at a time, in float64."""
    found = []
    for row in logits.astype(np.float64) / temperature:
        p = np.exp(row - row.max())
        p /= p.sum()
        best = np.argsort(-p, kind="stable")[:top]
        mean = sum(p[k] * names[k].astype(np.float64) for k in best) / p[best].sum()
        found.append(mean / np.linalg.norm(mean))
    return np.array(found)


@pytest.mark.parametrize("top", [1, 3, 20])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_it_is_the_formula(top: int, temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(7, 20), scale=5).astype(np.float32)
    names = rng.normal(size=(20, 6)).astype(np.float32)
    names /= np.linalg.norm(names, axis=1, keepdims=True)
    found = compute_conse(logits, names, top=top, temperature=temperature)
    np.testing.assert_allclose(found, dense(logits, names, top, temperature), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_one_class_is_its_name_and_large_logits_do_no_harm() -> None:
    names = np.eye(4, dtype=np.float32)
    logits = np.array([[0, 1e4, 0, 0], [-1e4, -1e4, -1e4, 1e4]], np.float32)
    for top in (1, 4):
        np.testing.assert_allclose(compute_conse(logits, names, top=top), names[[1, 3]], atol=1e-6)
