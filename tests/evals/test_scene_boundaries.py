"""Evaluators of scene boundaries against the direct computation, on any devices."""

import dataclasses

import jax
import numpy as np
import pytest

from tests.training.test_train_shots import SHOTS, WIDTH, write_films
from vujax import evals
from vujax.data.boundary_windows import BoundaryWindows
from vujax.data.registry import open_films
from vujax.data.shot_similarity import compute_gap_scores
from vujax.evals.metrics.boundaries import FilmScores, evaluate
from vujax.evals.metrics.positives import measure_positives
from vujax.models.boundary import build_boundary_model
from vujax.models.projection import ContrastModel, Projection
from vujax.models.shot_encoder import build_shot_encoder

MODEL = ContrastModel(build_shot_encoder(feature=dict(hidden=(), dim=8)), Projection((6,)))
HEADS = {
    "mlp": dict(kind="mlp", before=2, after=2, hidden=(8,)),
    "similarity": dict(kind="similarity", reach=2, hidden=(8,)),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return dict(kind="features", path=str(write_films(tmp_path_factory.mktemp("films"))))


def scores_of(films, scores):
    return [
        FilmScores(film.film, score, film.starts, film.frames, film.seconds, film.fps)
        for film, score in zip(films, scores, strict=True)
    ]


def check(evaluator, variables, films, direct):
    """Check the evaluator's scores against the direct ones of films with several shots."""
    found = evaluator(variables)
    films = [film for film in films if len(film) > 1]
    assert [s.film for s in evaluator.scores] == [film.film for film in films]
    want = [direct(film) for film in films]
    for mine, score in zip(evaluator.scores, want, strict=True):
        assert np.ptp(score) > 0 or len(score) == 2
        np.testing.assert_allclose(mine.scores, score, rtol=1e-4, atol=1e-5)
    for name, value in evaluate(scores_of(films, want), threshold=0.5).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize(("vector", "batch_size"), [("encoder", 13), ("projection", 64)])
def test_gap_scores_of_an_encoder(films, vector, batch_size, mesh1, mesh8):
    """69 shots, of which 68 are of films with more than one: the last batch is not full."""
    assert sum(SHOTS) == 69
    init = jax.jit(MODEL.init)
    variables = init(jax.random.key(0), {"feature": np.zeros((1, WIDTH), np.float32)})
    opened = open_films(**films)
    options = dict(kind="gap", films=dict(main=films), vector=vector, batch_size=batch_size)

    def direct(film):
        feature = film.inputs(np.arange(len(film)))["feature"]
        vectors = MODEL.apply(variables, {"feature": feature})[vector == "projection"]
        return compute_gap_scores(np.asarray(vectors))

    for mesh in (mesh1, mesh8):
        evaluator = evals.build_evaluator("gap", options, model=MODEL, mesh=mesh)
        check(evaluator, variables, opened, direct)
    plain = [f for f in opened if len(f) > 1]
    raw = [compute_gap_scores(film.inputs(np.arange(len(film)))["feature"]) for film in plain]
    want = evaluate(scores_of(plain, raw), threshold=0.5)
    beside = evaluator.baselines["features"]
    assert beside["macro/ap"] == pytest.approx(want["macro/ap"])


def test_statistics_of_nearest_positives(films, mesh1):
    variables = MODEL.init(jax.random.key(0), {"feature": np.zeros((1, WIDTH), np.float32)})
    options = dict(kind="gap", films=dict(main=films), positives=2)
    result = evals.build_evaluator("gap", options, model=MODEL, mesh=mesh1)(variables)
    several = [film for film in open_films(**films) if len(film) > 1]
    features = [film.inputs(np.arange(len(film)))["feature"] for film in several]
    vectors = [np.asarray(MODEL.apply(variables, {"feature": x})[0]) for x in features]
    for name, value in measure_positives(vectors, neighbours=2).items():
        assert result[f"positives/{name}"] == pytest.approx(value)


@pytest.mark.parametrize("head", HEADS)
def test_probabilities_of_a_head(films, head, mesh1, mesh8):
    model, opened = build_boundary_model(head=HEADS[head]), open_films(**films)
    rows = BoundaryWindows([film for film in opened if film.starts.any()], **model.window)
    variables = jax.jit(model.init)(jax.random.key(0), rows.load(np.arange(1)))
    judge = jax.jit(lambda variables, batch: jax.nn.sigmoid(model.apply(variables, batch)[0]))

    def direct(film):
        every = dataclasses.replace(film, starts=np.ones(len(film) - 1, bool))
        batch = BoundaryWindows([every], **model.window).load(np.arange(len(film) - 1))
        return np.asarray(judge(variables, batch))

    options = dict(kind="borders", films=dict(main=films), batch_size=9)
    for mesh in (mesh1, mesh8):
        evaluator = evals.build_evaluator("borders", options, model=model, mesh=mesh)
        check(evaluator, variables, opened, direct)


def test_a_film_without_labels_is_named(tmp_path, mesh1):
    feature = np.ones((3, WIDTH), np.float32)
    shots = np.array([[0, 9], [10, 19], [20, 29]])
    np.savez(tmp_path / "bare.npz", vgg19=feature, shots=shots)
    films = dict(main=dict(kind="features", path=str(tmp_path)))
    evaluator = evals.build_evaluator("gap", dict(kind="gap", films=films), model=MODEL, mesh=mesh1)
    with pytest.raises(ValueError, match="film 'bare' has no scene labels; an evaluation needs"):
        evaluator({})


def test_unknown_vector(mesh1):
    options = dict(kind="gap", films={}, vector="head")
    with pytest.raises(ValueError, match="vector 'head'; expected one of: encoder, projection"):
        evals.build_evaluator("gap", options, model=MODEL, mesh=mesh1)
