"""Linear Movies2Scenes: expectations by loops, known directions, a release that is an encoder."""

import numpy as np
import pytest

from tests.configs import load
from vujax.data.movies.guide import ANY, ITSELF, NONE
from vujax.data.scene_batches import SceneRows
from vujax.encoders import open_encoder
from vujax.encoders.shots import encode_scenes
from vujax.methods import linear_guide
from vujax.methods.linear_guide import (
    average_positives,
    count_similar,
    fit_linear_guide,
    fit_whitening,
)
from vujax.methods.movies2scenes import open_guided_scenes
from vujax.models import release

THEMES, PER_THEME, SCENES, DIM, GUIDED = 20, 5, 8, 12, 3
MOVIES = THEMES * PER_THEME
AGREEMENT = 0.6


def world(seed: int = 2):
    """Return `(features [n f], movie [n], similar [movies k], hidden [n f])`.

    The first 3 hidden directions are shared by the films of a theme, with variance .6; films have
    the next 3 of their own; the rest is each scene's. Features mix them with large variances where
    nothing is shared.
    """
    rng = np.random.default_rng(seed)
    movie = np.repeat(np.arange(MOVIES), SCENES)
    theme, look = white(rng, THEMES)[movie // PER_THEME], white(rng, MOVIES)[movie]
    hidden = rng.normal(size=(len(movie), DIM))
    shares = (theme, look)
    for number, common in enumerate(shares):
        part = slice(number * GUIDED, (number + 1) * GUIDED)
        own = hidden[:, part]
        hidden[:, part] = np.sqrt(AGREEMENT) * common + np.sqrt(1 - AGREEMENT) * own
    mix = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0] * np.linspace(1, 5, DIM)[:, None]
    first = np.arange(MOVIES) // PER_THEME * PER_THEME
    block = first[:, None] + np.arange(PER_THEME)
    similar = np.array([[m for m in row if m != own] for own, row in enumerate(block)], np.int32)
    return hidden @ mix, movie, similar, hidden


def white(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw numbers `[n 3]` of mean 0 and covariance 1, exactly."""
    rows = np.concatenate([np.ones((n, 1)), rng.normal(size=(n, GUIDED))], axis=1)
    return np.linalg.qr(rows)[0][:, 1:] * np.sqrt(n)


def test_the_guided_directions_are_found_and_no_others():
    x, movie, similar, hidden = world()
    fitted = fit_linear_guide(x, movie, similar)
    assert fitted.matrix.shape == (DIM, GUIDED) and fitted.pairs == 4 * len(x)
    np.testing.assert_allclose(fitted.agreement[:GUIDED], AGREEMENT, atol=0.1)
    assert fitted.agreement[GUIDED] <= fitted.threshold < 0.13
    found = (x - fitted.mean) @ fitted.matrix
    explained = 1 - np.array([residual(hidden[:, d], found) for d in range(DIM)])
    assert explained[:GUIDED].min() > 0.9 and explained[GUIDED:].max() < 0.1


def residual(target: np.ndarray, given: np.ndarray) -> float:
    """Return the share of a variance that a regression on `given` leaves."""
    target, given = target - target.mean(), given - given.mean(axis=0)
    left = target - given @ np.linalg.lstsq(given, target, rcond=None)[0]
    return float(left.var() / target.var())


def test_weights_are_those_of_the_agreement():
    x, movie, similar, _ = world()
    fitted = fit_linear_guide(x, movie, similar)
    rho = fitted.agreement[:GUIDED]
    variance = ((x - fitted.mean) @ fitted.matrix).var(axis=0)
    np.testing.assert_allclose(variance, rho / (1 - rho**2), rtol=1e-4)
    again = fit_linear_guide(x, movie, similar)
    np.testing.assert_array_equal(again.matrix, fitted.matrix)


def test_the_same_movie_finds_the_looks_too_and_random_movies_nothing():
    x, movie, _, _ = world()
    own = np.arange(MOVIES, dtype=np.int32)[:, None]
    assert fit_linear_guide(x, movie, own).matrix.shape[1] == 2 * GUIDED
    rng = np.random.default_rng(1)
    drawn = np.stack([rng.choice(MOVIES, 4, replace=False) for _ in range(MOVIES)])
    drawn = np.where(drawn == own, NONE, drawn).astype(np.int32)
    with pytest.raises(ValueError, match="the guide knows no direction: positives agree by at mo"):
        fit_linear_guide(x, movie, drawn)


def loop_average(z, movie, similar, i):
    """Return the mean over the movies of a list of the mean of their scenes but scene i."""
    lists = similar[movie[i]].tolist()
    means = []
    for other in range(len(similar)):
        if other in lists or (ANY in lists and other != movie[i]):
            scenes = [j for j in range(len(z)) if movie[j] == other and j != i]
            means += [z[scenes].mean(axis=0)] if scenes else []
    return np.mean(means, axis=0) if means else np.full(z.shape[1], np.nan)


def test_expected_positives_are_those_of_the_loop():
    movie = np.array([0, 0, 0, 1, 2, 2, 3])
    z = np.random.default_rng(0).normal(size=(7, 3))
    for similar in (
        [[1, 2], [0, NONE], [2, 1], [NONE, NONE]],
        [[0, NONE], [1, NONE], [2, 3], [3, NONE]],
        [[ANY, NONE], [ANY, 1], [ANY, 2], [ITSELF, NONE]],
    ):
        lists = np.array(similar, np.int32)
        want = np.stack([loop_average(z, movie, lists, i) for i in range(7)])
        np.testing.assert_allclose(average_positives(z, movie, lists), want, atol=1e-12)
        np.testing.assert_array_equal(count_similar(movie, lists) > 0, np.isfinite(want[:, 0]))


def test_whitening_leaves_out_what_does_not_vary():
    x = np.random.default_rng(0).normal(size=(50, 4)) * [3, 1, 0.1, 0]
    for dims, rank in ((9, 3), (2, 2)):
        mean, matrix = fit_whitening(x, dims)
        z = (x - mean) @ matrix
        np.testing.assert_allclose(z.T @ z / 50, np.eye(rank), atol=1e-8)


def test_few_scenes_whiten_few_components():
    x, movie, similar, _ = world()
    few = movie < 10
    with pytest.raises(ValueError, match="the guide knows no direction"):
        fit_linear_guide(np.random.default_rng(2).normal(size=x.shape)[few], movie[few], similar)
    with pytest.raises(ValueError, match="no scene has a similar movie: choose another"):
        fit_linear_guide(x, movie, np.full((MOVIES, 2), ITSELF, np.int32))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Return a config of configs/movies2scenes.py whose films are those of the world."""
    folder = tmp_path_factory.mktemp("films")
    x, movie, _, _ = world()
    for number in range(MOVIES):
        feature = np.repeat(x[movie == number], 2, axis=0).astype(np.float32)  # 2 shots a scene
        first = 30 * np.arange(len(feature))
        np.savez(
            folder / f"film-{number:02d}.npz",
            mine=feature,
            shots=np.stack([first, first + 29], axis=1),
            boundary=np.arange(1, len(feature)) % 2 == 0,
        )
    rows = [f"film-{m:02d},Film {m},Theme {m // PER_THEME}" for m in range(MOVIES)]
    (folder / "movies.csv").write_text("\n".join(["id,title,genres", *rows, ""]))
    config = load("movies2scenes", "movieclip")
    with config.unlocked():
        config.inputs.feature = (DIM,)
        config.data.scenes = dict(kind="features", films=dict(path=str(folder), key="mine"))
        config.data.tables = dict(kind="tables", path=str(folder))
    config.data.update(guide="genre", k=4, width=4)
    config.vectors = "mine"
    return config


def test_the_release_is_an_encoder_of_shots_and_scenes(config, tmp_path, capsys):
    linear_guide.train(config, tmp_path / "linear")
    assert "3 of 12 directions are guided" in capsys.readouterr().out
    encoder = open_encoder(str(tmp_path / "linear"))
    assert encoder.dim == 3 and encoder.native_levels == ("shot", "scene")
    assert encoder.input_encoder == "mine" and encoder.max_shots == 4
    scenes, _ = open_guided_scenes(config)
    found = encode_scenes(encoder, scenes)
    weights = release.load_host(tmp_path / "linear")[1]["params"]["encoder"]
    features = linear_guide.read_features(scenes)
    want = (features - weights["mean"]) @ weights["matrix"]
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)
    row = next(SceneRows(scenes, {"feature": (DIM,)}, width=4, most=3).eval_batches(batch_size=2))
    assert (row["scene"] >= 0).sum() == 4  # rows of two scenes: segments are told apart


def test_what_it_cannot_fit(config, tmp_path):
    other = load("shotcol", "features")
    pixels = load("movies2scenes", "cinema")
    for wrong, named in ((other, "got shotcol"), (pixels, "with {'image'")):
        with pytest.raises(ValueError, match=f"inputs.feature .f., .*{named}"):
            linear_guide.train(wrong, tmp_path)
