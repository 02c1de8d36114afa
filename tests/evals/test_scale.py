"""The fitted scale: the least held-out loss, duplicates, and errors."""

import math

import numpy as np
import pytest

from tests.losses.cases import unit
from vujax.evals import scale
from vujax.evals.metrics.classification import expected_calibration_error
from vujax.losses import reference


def pairs(n: int = 60, d: int = 8, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = unit(rng.normal(size=(n, d)))
    return images, unit(images + noise * rng.normal(size=(n, d)))


def test_loss_is_info_nce_where_captions_differ():
    images, texts = pairs()
    loss = scale.compute_held_out_loss(images @ texts.T, np.eye(60, dtype=bool), 12.0)
    assert loss == pytest.approx(float(reference.info_nce(images, texts, 12.0)), rel=1e-5)


def test_the_scale_has_the_least_loss_and_repairs_overconfidence():
    images, texts = pairs()
    own = np.arange(60, dtype=np.int32)[:, None]
    fitted = scale.fit_scale(images, texts, own, 80.0)
    grid = [float(reference.info_nce(images, texts, s)) for s in np.geomspace(1, 100, 200)]
    assert fitted.loss <= min(grid) + 1e-6
    assert fitted.loss_before == pytest.approx(float(reference.info_nce(images, texts, 80.0)))
    assert fitted.scale < 40 and fitted.loss < 0.7 * fitted.loss_before
    assert fitted.pairs == 60
    assert fitted.ece < 0.5 * fitted.ece_before


def test_calibration_counts_the_first_answers_of_both_directions():
    images, texts = pairs()
    texts = texts[:50]
    belongs = np.arange(60)[:, None] % 50 == np.arange(50)
    errors = []
    for a, b, right in ((images, texts, belongs), (texts, images, belongs.T)):
        logits = 9.0 * a @ b.T
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        first = probabilities.argmax(axis=1)
        hits = np.array([right[row, column] for row, column in enumerate(first)])
        errors.append(expected_calibration_error(probabilities.max(axis=1), hits))
    found = scale.compute_calibration_error(images @ texts.T, belongs, 9.0)
    assert found == pytest.approx(np.mean(errors), abs=1e-6)
    assert abs(errors[0] - errors[1]) > 1e-3


def test_perfect_pairs_take_the_bound():
    images, _ = pairs(d=32)
    fitted = scale.fit_scale(images, images, np.arange(60)[:, None], 5.0, max_scale=20.0)
    assert fitted.scale == pytest.approx(20.0, rel=1e-3)


def test_equal_captions_are_all_right():
    image, text = np.eye(2, dtype=np.float32)[[0, 0, 1]], np.eye(2, dtype=np.float32)
    belongs = np.array([[True, False], [True, False], [False, True]])
    loss = scale.compute_held_out_loss(image @ text.T, belongs, 2.0)
    e = math.exp(2)
    to_text = math.log(1 + 1 / e)
    to_image = (math.log(1 + 1 / (2 * e)) + math.log(1 + 2 / e)) / 2
    assert loss == pytest.approx((to_text + to_image) / 2)
    of_image = np.array([[0], [0], [1]], np.int32)
    assert scale.fit_scale(image, text, of_image, 2.0).loss < loss


def test_a_part_of_many_pairs_is_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scale, "MAX_PAIRS", 20)
    images, texts = pairs()
    assert scale.fit_scale(images, texts, np.arange(60)[:, None], 14.0).pairs == 20


def test_errors_name_the_cause():
    images, texts = pairs()
    own = np.arange(60)[:, None]
    with pytest.raises(ValueError, match="on 1 images and 60 different texts"):
        scale.fit_scale(images[:1], texts, own[:1], 14.0)
    images[3, 2] = np.nan
    with pytest.raises(ValueError, match="the embedding of image 3 is NaN"):
        scale.fit_scale(images, texts, own, 14.0)
