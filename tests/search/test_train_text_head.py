"""Training of text heads, on features that are a linear image of the texts."""

import dataclasses

import numpy as np
import pytest

from vujax.search.train_text_head import TextHeadConfig, train_text_head

SMALL = TextHeadConfig(steps=60, batch=64, lr=3e-3, decay=0.0)
PAIRS = 192


def pairs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features `[192 1280]`, and unit texts `[192 384]` in 16 directions."""
    rng, world = np.random.default_rng(seed), np.random.default_rng(99)
    meaning = rng.normal(size=(PAIRS, 16))
    texts = meaning @ world.normal(size=(16, 384))
    features = np.clip(3 + meaning @ world.normal(size=(16, 1280)), 0, 6)
    return features.astype(np.float32), _unit(texts).astype(np.float32)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def accuracy(head, features: np.ndarray, texts: np.ndarray) -> float:
    return float(np.mean(np.argmax(head(features) @ texts.T, axis=1) == np.arange(len(texts))))


@pytest.mark.long
@pytest.mark.parametrize("end", [0.0, 0.4])
def test_it_learns_and_what_it_learned_serves_new_pairs(end: float) -> None:
    head = train_text_head(*pairs(0), dataclasses.replace(SMALL, unaligned_end=end), seed=0)
    assert head.kernel.dtype == np.float16 and head.config == {"share": 1.0}
    assert accuracy(head, *pairs(1)) > 0.5  # by chance 1 in 192


def test_seeds_and_methods_differ_and_repeat() -> None:
    how = dataclasses.replace(SMALL, steps=10)
    clip = dataclasses.replace(how, unaligned_end=0.0)
    kernels = [
        train_text_head(*pairs(0), h, s).kernel
        for h, s in ((how, 0), (how, 1), (clip, 0), (how, 0))
    ]
    np.testing.assert_array_equal(kernels[0], kernels[3])
    assert np.abs(kernels[0] - kernels[1]).max() > 0 and np.abs(kernels[0] - kernels[2]).max() > 0


def test_rows_must_fit() -> None:
    features, texts = pairs(0)
    for bad in ((features, texts[1:]), (features[:9], texts[:9])):
        with pytest.raises(ValueError, match="at least a batch of 64"):
            train_text_head(*bad, SMALL, seed=0)
