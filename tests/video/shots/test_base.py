"""Shots from transitions."""

from vujax.video.shots.base import Shot, Transition, split_into_shots


def test_every_frame_is_in_one_shot() -> None:
    cut, dissolve = Transition(9, 10), Transition(19, 30, "dissolve")
    assert dissolve.boundary == 25
    found = split_into_shots([dissolve, cut], frames=40)
    assert found == [Shot(0, 10, None), Shot(10, 25, cut), Shot(25, 40, dissolve)]


def test_no_shot_is_empty() -> None:
    before, twice, after = Transition(-1, 0), Transition(4, 5), Transition(9, 10)
    assert [
        (s.start, s.end) for s in split_into_shots([before, twice, twice, after], frames=10)
    ] == [
        (0, 5),
        (5, 10),
    ]
    assert split_into_shots([], frames=0) == []
