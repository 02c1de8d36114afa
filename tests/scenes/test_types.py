"""Scenes from shots: contiguous in all units of time; options and deprecated names."""

from fractions import Fraction

import pytest

from tests.scenes.results import NTSC, result
from vujax.scenes.types import SceneDetectionOptions


def test_scenes_follow_each_other_and_have_all_shots() -> None:
    scenes = result(shots=(30, 12, 50, 41), boundaries=(2, 0)).scenes  # in any order
    assert [(s.first_shot, s.last_shot, s.num_shots) for s in scenes] == [
        (0, 0, 1),
        (1, 2, 2),
        (3, 3, 1),
    ]
    assert [(s.first_frame, s.last_frame) for s in scenes] == [(0, 29), (30, 91), (92, 132)]
    assert [s.start_pts for s in scenes[1:]] == [s.end_pts for s in scenes[:-1]]
    assert [s.score for s in scenes] == [None, 0.9, 0.9]
    assert [(s.number, s.id, s.title) for s in scenes][2] == (3, "film-01234567/c002", "Scene 3")


def test_times_of_a_drop_frame_film_that_does_not_begin_at_zero() -> None:
    film = result(shots=(1800, 60), boundaries=(0,), rate=NTSC, start=Fraction(7, 5))
    second = film.scenes[1]
    assert second.start_timecode == "00:01:00;02"  # the first numbers of a minute are left out
    assert second.start_s == pytest.approx(1800 * 1001 / 30000, abs=1e-5)
    assert second.start_pts == round((1800 * 1001 / 30000 + 1.4) * 90000)


def test_one_shot_is_one_scene() -> None:
    (scene,) = result(shots=(5,), boundaries=()).scenes
    assert (scene.first_frame, scene.last_frame, scene.score) == (0, 4, None)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (dict(threshold=1.5), "threshold must be in 0..1, got 1.5"),
        (dict(threshold=float("nan")), "threshold must be in 0..1"),
        (dict(num_scenes=0), "number of scenes must be at least 1"),
        (dict(num_scenes=3, threshold=0.5), "a number of scenes and a threshold"),
        (dict(num_scenes=3, min_duration=2.0), "a number of scenes and a minimum duration"),
        (dict(min_duration=-1.0), "0 seconds or more"),
        (dict(min_duration=float("inf")), "0 seconds or more"),
    ],
)
def test_what_cannot_be(options: dict, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        SceneDetectionOptions(**options)


def test_deprecated_names_warn_and_work() -> None:
    film = result()
    scene = film.scenes[1]
    names = {
        "begin_s": "start_s",
        "begin_pts": "start_pts",
        "begin_timecode": "start_timecode",
        "shots": "num_shots",
    }
    for old, new in names.items():
        with pytest.warns(DeprecationWarning, match=f"Scene.{old} is deprecated; use {new}"):
            assert getattr(scene, old) == getattr(scene, new)
    for old, new in {
        "borders_s": "boundaries_s",
        "made": "provenance",
        "took": "timings_s",
    }.items():
        with pytest.warns(DeprecationWarning, match=f"DetectedScenes.{old} is deprecated"):
            assert getattr(film, old) == getattr(film, new)


def test_rows_keep_the_names_of_files() -> None:
    scene = result().scenes[1]
    row = scene.to_row()
    assert list(row)[:4] == ["number", "id", "begin_s", "end_s"]
    assert (row["begin_s"], row["begin_timecode"]) == (scene.start_s, scene.start_timecode)
    assert row["shots"] == scene.num_shots
