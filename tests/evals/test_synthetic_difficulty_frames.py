"""Difficulty of synthetic frames: histograms, oracles and their order."""

import numpy as np
import pytest

from vujax.data.synthetic import SyntheticImages
from vujax.evals.synthetic_difficulty.frames import (
    Frames,
    color_histograms,
    compute_recalls,
    measure_retrieval,
    measure_zero_shot,
)


def test_histograms_count_colours():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    images[1, :2] = 255
    histograms = color_histograms(images, bins=2)
    assert histograms.shape == (2, 8)
    np.testing.assert_allclose(histograms[0], [1, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(histograms[1] ** 2, [0.5, 0, 0, 0, 0, 0, 0, 0.5], rtol=1e-6)


def test_recalls_by_hand():
    """Three images, captions a b a: image 1 finds its caption second, the others first."""
    scores = np.array([[0.5, 0.1, 0.9], [0.7, 0.6, 0.1], [0.2, 0.1, 0.3]])
    result = compute_recalls(scores, ["a", "b", "a"])
    assert result["image_to_text/R@1"] == pytest.approx(0.6667)
    assert result["image_to_text/R@5"] == 1.0
    # Caption 0 (a) prefers image 1; captions 1 (b) and 2 (a) prefer a right one.
    assert result["text_to_image/R@1"] == pytest.approx(0.6667)


@pytest.fixture(scope="module")
def frames() -> tuple[Frames, Frames]:
    known, asked = SyntheticImages(frames=1000), SyntheticImages("validation", frames=300)
    return Frames.from_source(known), Frames.from_source(asked)


def test_colours_are_a_weak_retriever(frames):
    """Above chance, far below what the truth allows."""
    result = measure_retrieval(*frames)
    mean = {name: np.mean(list(scores.values())) for name, scores in result.items()}
    assert mean["chance"] < mean["histogram"] < 0.15 * mean["ceiling"]
    assert 0.25 < result["ceiling"]["text_to_image/R@1"] < 0.75


@pytest.mark.parametrize("label", ["place", "event", "kind"])
def test_colours_are_a_weak_classifier(frames, label: str):
    scores = measure_zero_shot(*frames, label)
    assert scores["chance"] < scores["histogram"] < 0.35


def test_one_who_knows_the_pairs_reaches_1(frames):
    """Check that ambiguity lowers the ceiling, not the way it is counted."""
    texts = frames[1].texts
    assert set(compute_recalls(np.eye(len(texts)), texts).values()) == {1.0}
