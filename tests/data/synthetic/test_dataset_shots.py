"""Rows of shots: the images, sounds and boundaries of the edited films."""

import pickle
from fractions import Fraction

import numpy as np
import pytest

from vujax.data.synthetic.dataset_shots import RATE, SyntheticFilm, open_synthetic_films
from vujax.data.synthetic.films import build_film_truth
from vujax.data.synthetic.ground_truth import Settings
from vujax.data.synthetic.screen import Screen
from vujax.data.synthetic.sound import Soundtrack
from vujax.evals.synthetic_difficulty.scenes import average_scores, score_gaps

SIZE = (36, 64)


@pytest.fixture(scope="module")
def film() -> SyntheticFilm:
    (film,) = open_synthetic_films(films=1, first=2, minutes=1.0, image_size=SIZE, fps="24000/1001")
    return film


def test_shots_and_scenes_are_those_of_the_truth(film: SyntheticFilm):
    truth = build_film_truth(Settings(0, "train", 1.0, Fraction(24000, 1001), *SIZE, 48000, 1), 2)
    assert len(film) == len(truth.shots) and film.fps == pytest.approx(24000 / 1001)
    assert film.frames.dtype == np.int64 and film.starts.dtype == bool
    assert film.frames.tolist() == [[shot.first, shot.last] for shot in truth.shots]
    assert film.starts.tolist() == truth.scene_starts
    assert film.starts[1] and film.starts[-3] and not film.starts[-2:].any()  # the cards
    assert film.seconds.dtype == np.float64 and (film.seconds[1:, 0] == film.seconds[:-1, 1]).all()
    assert film.seconds[-1, 1] == pytest.approx(float(truth.duration_s))


def test_keyframes_are_frames_at_quarters_of_the_shot(film: SyntheticFilm):
    shots = np.array([4, 1, 4])
    image = film.inputs(shots)["image"]
    assert image.shape == (3, 3, *SIZE, 3) and image.dtype == np.uint8
    screen = Screen(film.edit, *SIZE)
    for row, shot in zip(image, shots, strict=True):
        first, last = film.frames[shot]
        for picture, share in zip(row, (0.25, 0.5, 0.75), strict=True):
            at = int(first + int(share * (last + 1 - first)))
            np.testing.assert_array_equal(picture, screen.frame(at))
    assert film.inputs(np.zeros(0, np.int64))["image"].shape == (0, 3, *SIZE, 3)


def test_what_was_drawn_is_kept_and_not_carried(film: SyntheticFilm, monkeypatch):
    whole = film.inputs(np.arange(len(film)))["image"]
    copied = pickle.loads(pickle.dumps(film))
    assert copied.film == film.film and len(pickle.dumps(film)) < 1000
    loose = open_synthetic_films(
        films=1, first=2, minutes=1.0, image_size=SIZE, fps="24000/1001", keep=False
    )
    for other in (copied, loose[0]):
        np.testing.assert_array_equal(other.inputs(np.array([3, 0]))["image"], whole[[3, 0]])
    monkeypatch.setattr(Screen, "frame", lambda *_: pytest.fail("drawn again"))
    np.testing.assert_array_equal(film.inputs(np.array([2]))["image"], whole[2:3])
    with pytest.raises(BaseException, match="drawn again"):
        loose[0].inputs(np.array([3]))


def test_the_sound_of_shots_is_the_soundtrack(film: SyntheticFilm):
    heard = [film.sound(shot) for shot in range(len(film))]
    whole = Soundtrack(film.edit, RATE).block(0, 1 << 40)[0]
    np.testing.assert_array_equal(np.concatenate(heard), whole[: sum(map(len, heard))])
    assert heard[0].dtype == np.float32 and abs(sum(map(len, heard)) - len(whole)) <= 1


def test_films_differ_and_are_named():
    films = open_synthetic_films(films=3, first=5, minutes=0.5, split="validation", seed=7)
    assert [film.film for film in films] == [f"cinema-7-validation-000{n}" for n in (5, 6, 7)]
    assert len({film.edit.film.palette for film in films}) == 3
    assert films[0].inputs(np.array([0]))["image"].shape == (1, 3, 48, 48, 3)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(split="test"), "unknown split 'test'; expected one of: train, validation"),
        (dict(films=0), "films must be within 1..100000, got 0"),
        (dict(frames=0), "frames must be within 1..64, got 0"),
        (dict(minutes=float("nan")), "minutes must be within 0..600, got nan"),
        (dict(image_size=(48, 48, 3)), "must be one or two numbers"),
        (dict(image_size=4), "must be one or two numbers"),
        (dict(fps="24/0"), "fps must be a rate such as 24 or 24000/1001, got '24/0'"),
        (dict(fps=0), "fps must be within 5..120, got 0"),
    ],
)
def test_wrong_options_say_so(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        open_synthetic_films(**options)


def test_shots_that_are_not_there(film: SyntheticFilm):
    with pytest.raises(IndexError, match="must be in 0"):
        film.inputs(np.array([0, -1]))
    with pytest.raises(IndexError, match=f"got {len(film)}"):
        film.sound(len(film))


def test_gaps_by_hand():
    away = np.array([[0, 2, 5, 9], [2, 0, 3, 7], [5, 3, 0, 4], [9, 7, 4, 0]])
    assert score_gaps(away, 1).tolist() == [2, 3, 4] and score_gaps(away, 2).tolist() == [2, 3, 4]
    away[0, 2] = away[2, 0] = 1  # what comes back closes the gap before and after it
    assert score_gaps(away, 2).tolist() == [1, 1, 4]


def test_colours_and_sounds_tell_of_scenes_and_more_together():
    found = average_scores(
        open_synthetic_films(split="validation", films=4, minutes=2.0, image_size=32)
    )
    assert 2 * found["chance"] < min(found["colours"], found["sounds"])
    assert max(found["colours"], found["sounds"]) < found["both"] < 0.9
