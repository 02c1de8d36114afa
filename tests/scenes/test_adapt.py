"""Adaptation: determinism, one compiled program for all films, and invalid input."""

import chex
import numpy as np
import pytest

from vujax.data.shot_similarity import compute_gap_scores
from vujax.methods.shotcol import ShotCoL
from vujax.scenes import adapt as adapting
from vujax.scenes.adapt import AdaptationConfig, adapt_embeddings, train_adapter
from vujax.training.fit import build_program

WIDTH = 8
HOW = AdaptationConfig(
    neighbours=2, steps=40, windows=8, block=2, queue=64, hidden=16, dim=6, lr=1e-2, temperature=0.3
)


def film(shots: int, seed: int = 0) -> np.ndarray:
    """Return scenes of 6 shots whose noise is as large as their differences."""
    rng = np.random.default_rng(seed)
    scenes = rng.normal(size=(shots // 6 + 1, WIDTH))[np.arange(shots) // 6]
    return (scenes + rng.normal(size=(shots, WIDTH))).astype(np.float32)


@pytest.fixture(scope="module")
def adapted():
    return adapt_embeddings([film(40), film(1), film(9)], HOW)


def test_a_vector_for_each_shot_of_each_film(adapted):
    assert [(x.shape, x.dtype) for x in adapted] == [((n, 6), np.float32) for n in (40, 1, 9)]
    assert all(np.isfinite(x).all() and x.std() > 0 for x in adapted)


def test_the_seed_decides(adapted):
    films = [film(40), film(1), film(9)]
    chex.assert_trees_all_equal(adapt_embeddings(films, HOW), adapted)
    assert np.abs(adapt_embeddings(films, HOW, seed=1)[0] - adapted[0]).max() > 1e-3


def test_one_program_for_films_of_any_length(adapted, monkeypatch):
    """Tracing the method a second time would compile it a second time."""
    monkeypatch.setattr(ShotCoL, "embed", None)
    monkeypatch.setattr(ShotCoL, "objective", None)
    kept = build_program.cache_info().currsize
    (vectors,) = adapt_embeddings([film(300, seed=3)], HOW)
    assert vectors.shape == (300, 6) and build_program.cache_info().currsize == kept


def test_few_shots_are_not_learned_by_heart():
    how = AdaptationConfig(steps=400, passes=50.0, windows=32, block=8)
    assert [how.steps_for(shots) for shots in (1, 256, 512, 5000)] == [10, 50, 100, 400]


def told_apart(vectors: np.ndarray) -> float:
    """Return how often a pair of one scene is more similar than a pair of two scenes."""
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scene, upper = np.arange(len(vectors)) // 6, np.triu_indices(len(vectors), 1)
    cosine, same = (vectors @ vectors.T)[upper], np.equal.outer(scene, scene)[upper]
    return float((cosine[same][:, None] > cosine[~same]).mean())


def test_learning_tells_scenes_apart(adapted, monkeypatch):
    def idle(*args, **kwargs):
        return build_program(*args, **kwargs)[0], lambda state, batch: (state, {})

    monkeypatch.setattr(adapting, "build_program", idle)
    (untrained,) = adapt_embeddings([film(40)], HOW)
    assert told_apart(adapted[0]) > told_apart(untrained) + 0.05


def test_rows_are_encoded_as_one_by_one(monkeypatch):
    trained = train_adapter([film(12)], HOW)
    whole = trained(film(12))
    monkeypatch.setattr(adapting, "ENCODE_CHUNK", 5)
    np.testing.assert_allclose(trained(film(12)), whole, rtol=1e-5, atol=1e-6)


def test_a_shot_alone_stays_as_it_is():
    for films in ([film(1)], [film(1), film(1, seed=1)]):
        chex.assert_trees_all_equal(adapt_embeddings(films, HOW), films)
    assert compute_gap_scores(adapt_embeddings([film(1)], HOW)[0]).shape == (0,)


def spoiled() -> np.ndarray:
    vectors = film(8)
    vectors[5, 2] = np.nan
    return vectors


@pytest.mark.parametrize(
    ("films", "words"),
    [
        ([film(9), spoiled()], "features of shot 5 of film 1 are not finite"),
        ([film(9), film(9)[:, :5]], r"film 'film 1' has a feature of shape \(5,\) .* says \(8,\)"),
        ([spoiled()[5:6]], "features of shot 0 of film 0 are not finite"),
        ([film(9), film(9)[:0]], "film 1 has no shots"),
        ([], "no films to adapt to"),
    ],
)
def test_vectors_that_cannot_be(films, words):
    with pytest.raises(ValueError, match=words):
        adapt_embeddings(films, HOW)
