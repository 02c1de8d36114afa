"""Probabilities without weights: their inputs, and the number of scenes that they expect."""

from dataclasses import replace

import numpy as np
import pytest

from tests.scenes.results import NTSC_FILM, result
from vujax.data.scene_structure import compute_structure_scores
from vujax.scenes.film import explain_one_scene, predict_boundaries
from vujax.scenes.structure import CALIBRATION, StructureHead
from vujax.scenes.types import SceneDetectionOptions

OPTIONS = SceneDetectionOptions()


def make_film(scenes: int, length: int = 8, noise: float = 0.5, shot_s: float = 5.0) -> tuple:
    """Return embeddings and seconds of scenes of `length` shots, and their boundaries."""
    rng = np.random.default_rng(0)
    places = np.repeat(rng.normal(size=(scenes, 16)), length, axis=0)
    vectors = (places + noise * rng.normal(size=places.shape)).astype(np.float32)
    starts = shot_s * np.arange(len(vectors))
    return (
        vectors,
        np.stack([starts, starts + shot_s], axis=1),
        range(length - 1, len(places), length),
    )


def test_probabilities_are_a_logistic_curve_of_the_score():
    vectors, seconds, _ = make_film(5)
    logits = CALIBRATION[0] * compute_structure_scores(vectors, seconds) + CALIBRATION[1]
    expected = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(StructureHead().scores(vectors, seconds), expected, rtol=1e-5)


def test_as_many_boundaries_as_expected():
    vectors, seconds, boundaries = make_film(12)
    prediction = predict_boundaries(vectors, seconds, OPTIONS, StructureHead())
    scores = prediction.scores
    assert scores.min() >= 0 and scores.max() <= 1 and prediction.threshold is None
    assert len(prediction.boundaries) == round(float(scores.sum()))
    assert scores[prediction.boundaries].min() >= np.delete(scores, prediction.boundaries).max()
    assert len(set(prediction.boundaries) & set(boundaries)) >= 9


@pytest.mark.parametrize("scenes", [3, 6, 12, 50])
def test_clips_and_whole_films_expect_a_similar_share(scenes):
    vectors, seconds, _ = make_film(scenes)
    share = StructureHead().scores(vectors, seconds).mean()
    assert 0.09 < share < 0.19


@pytest.mark.parametrize("shots", [2, 3, 6])
def test_few_shots_are_few_scenes(shots):
    vectors, seconds, _ = make_film(1, length=shots)
    assert len(predict_boundaries(vectors, seconds, OPTIONS, StructureHead()).boundaries) <= 1


def test_a_film_of_one_image_is_one_scene():
    _, seconds, _ = make_film(5)
    prediction = predict_boundaries(np.ones((40, 4)), seconds, OPTIONS, StructureHead())
    assert len(prediction.boundaries) == 0


def test_adapted_embeddings_decide_where_and_the_original_ones_how_many():
    vectors, seconds, _ = make_film(12)
    adapted = np.random.default_rng(1).normal(size=vectors.shape)
    head = StructureHead()
    options = SceneDetectionOptions(adapt=True)
    found = predict_boundaries(adapted, seconds, options, head, original=vectors)
    scores = head.scores(adapted, seconds)
    np.testing.assert_array_equal(found.scores, scores)
    count = len(predict_boundaries(vectors, seconds, options, head).boundaries)
    assert count != len(predict_boundaries(adapted, seconds, options, head).boundaries)
    assert set(found.boundaries) == set(np.argsort(-scores, kind="stable")[:count])
    low = SceneDetectionOptions(adapt=True, threshold=0.0)
    everything = predict_boundaries(adapted, seconds, low, head, original=vectors)
    assert len(everything.boundaries) == len(seconds) - 1 and everything.threshold == 0


def test_a_threshold_of_a_head_is_not_carried_over():
    class Head:
        threshold = 0.5

        def scores(self, vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
            return vectors[1:, 0]

    original, adapted = np.zeros((6, 1)), np.full((6, 1), 0.9)
    original[2], adapted[4] = 0.8, 0.95
    seconds = np.arange(6)[:, None] + np.array([0.0, 1.0])
    found = predict_boundaries(adapted, seconds, OPTIONS, Head(), original=original)
    assert found.boundaries.tolist() == [3] and found.threshold is None


def test_names_of_scores_without_weights():
    assert isinstance(SceneDetectionOptions("structure").load_head(), StructureHead)
    assert isinstance(SceneDetectionOptions("none").load_head(), StructureHead)
    assert SceneDetectionOptions("gap").load_head() is None


def test_a_film_of_one_scene_says_why_and_what_to_do():
    one = replace(result((10, 10, 10, 10, 10), (), NTSC_FILM), scores=(0.05, 0.3, 0.15, 0.06))
    one = replace(one, boundaries_s=(10.0, 20.0, 30.0, 40.0), threshold=0.65)
    note = explain_one_scene(one, OPTIONS)
    assert "above the threshold of 0.65" in note and "--scenes N divides" in note
    assert "0:20.0 (0.30), 0:30.0 (0.15), 0:40.0 (0.06)" in note
    assert "threshold" not in explain_one_scene(replace(one, threshold=None), OPTIONS)
    assert explain_one_scene(replace(one, scores=()), OPTIONS) == ""
    assert explain_one_scene(result(), OPTIONS) == ""
    assert explain_one_scene(one, SceneDetectionOptions(num_scenes=1)) == ""
