"""Calibration: pool-adjacent-violators compared with a reference, and its file."""

import json

import numpy as np
import pytest

from vujax.search.captions.calibration import Calibration, brier_score


def pooled(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Fit an increasing curve by least squares, merging neighbors until it increases."""
    levels = np.unique(scores)
    blocks = [[right[scores == s].mean(), (scores == s).sum(), 1] for s in levels]
    done = False
    while not done:
        done = True
        for i in range(len(blocks) - 1):
            if blocks[i][0] > blocks[i + 1][0]:
                (a, n, k), (b, m, j) = blocks[i], blocks[i + 1]
                blocks[i : i + 2] = [[(a * n + b * m) / (n + m), n + m, k + j]]
                done = False
                break
    return np.repeat([b[0] for b in blocks], [b[2] for b in blocks])


def some(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    scores = np.round(rng.random(count), 2)  # with ties
    return scores, rng.random(count) < scores**2


def test_the_curve_is_that_of_merged_neighbours():
    scores, right = some()
    found = Calibration.fit(scores, right)
    levels, wanted = np.unique(scores), pooled(scores, right)
    np.testing.assert_allclose(np.unique(wanted), np.unique(found.probabilities), atol=1e-9)
    blocks = [levels[wanted == chance] for chance in np.unique(wanted)]
    for score, block in zip(found.scores, blocks, strict=True):
        assert block[0] <= score <= block[-1]
    assert found.pairs == 400


def test_chances_are_about_right():
    found = Calibration.fit(*some(4000))
    grid = np.linspace(0.1, 0.9, 9)
    np.testing.assert_allclose(found(grid), grid**2, atol=0.1)
    assert (np.diff(found(np.linspace(-1, 2, 50))) >= 0).all()
    assert found(np.array([-9.0]))[0] == found.probabilities[0]
    assert found(np.array([9.0]))[0] == found.probabilities[-1]


def test_cosines_that_say_nothing_give_the_share():
    found = Calibration.fit(np.full(40, 0.3), np.arange(40) < 10)
    np.testing.assert_allclose(found(np.array([0.0, 0.3, 1.0])), 0.25)


def test_a_file_comes_back(tmp_path):
    found = Calibration.fit(*some())
    assert Calibration.read(found.write(tmp_path / "c.json")) == found


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        json.dumps(dict(scores=[], chances=[], pairs=1)),
        json.dumps(dict(scores=[0, 1], chances=[1], pairs=1)),
        json.dumps(dict(scores=[0, 1], chances=[1, 0], pairs=1)),
        json.dumps(dict(scores=[0, float("nan")], chances=[0, 1], pairs=1)),
    ],
)
def test_bad_files(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ValueError, match=r"c.json is not a calibration"):
        Calibration.read(tmp_path / "c.json")


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"c.json does not exist"):
        Calibration.read(tmp_path / "c.json")
    with pytest.raises(ValueError, match="19 scores cannot be calibrated; give 20 pairs"):
        Calibration.fit(np.arange(19.0), np.ones(19))
    with pytest.raises(ValueError, match="finite"):
        Calibration.fit(np.full(30, np.nan), np.ones(30))


def test_brier():
    assert brier_score(np.array([1.0, 0.5, 0.0]), np.array([True, True, True])) == pytest.approx(
        1.25 / 3
    )
