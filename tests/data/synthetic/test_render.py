"""Rendering: deterministic, any size, distinct places, figures and events."""

import dataclasses

import numpy as np
import pytest

from vujax.data.synthetic.render import render_frame
from vujax.data.synthetic.script import NEVER_CLOSE, Shot, make_scene, make_shot
from vujax.data.synthetic.world import EVENTS, FRAMINGS, KINDS, PLACES, make_film


def _shot(number: int = 0) -> Shot:
    return make_shot(make_scene(make_film(0, "train", number), 1), 0)


def _quiet(shot: Shot) -> Shot:
    """Return the shot without grain, companion or camera move, for comparisons."""
    film = shot.scene.film
    film = dataclasses.replace(film, genre=dataclasses.replace(film.genre, grain=0.0))
    scene = dataclasses.replace(shot.scene, film=film)
    return dataclasses.replace(shot, scene=scene, companion=None, move="still", framing="wide")


def test_a_frame_is_a_function_of_shot_and_time():
    a, b = render_frame(_shot(), 0.5, 64, 64), render_frame(_shot(), 0.5, 64, 64)
    assert a.shape == (64, 64, 3) and a.dtype == np.uint8 and a.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(a, b)
    assert np.any(a != render_frame(_shot(), 1.5, 64, 64))


def test_wide_pictures_show_the_square_one_in_their_middle():
    """Check that 180x320 is 180x180 with more on both sides, apart from the grain."""
    shot = _quiet(_shot(2))
    wide, square = render_frame(shot, 0.0, 180, 320), render_frame(shot, 0.0, 180, 180)
    middle = wide[:, 70:250].astype(int)
    assert np.abs(middle - square).mean() < 0.5


def test_sizes_agree():
    """Check that a large frame, averaged down, is the small one."""
    shot = _quiet(_shot(3))
    large = render_frame(shot, 0.0, 256, 256).reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    small = render_frame(shot, 0.0, 64, 64)
    assert np.abs(large - small).mean() < 4.0


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("what", ["place", "kind", "event"])
def test_every_value_changes_the_picture(what: str, framing: str):
    """Check that all places, figures and events look different."""
    base = dataclasses.replace(_quiet(_shot(4)), framing=framing, drift=(0.0, 0.0))
    values = {"place": PLACES, "kind": KINDS, "event": EVENTS}[what]
    if framing == "close":
        values = [value for value in values if value not in NEVER_CLOSE]
    frames = [render_frame(_with(base, what, value), 0.0, 64, 64).astype(int) for value in values]
    for i, a in enumerate(frames):
        for b in frames[:i]:
            assert (np.abs(a - b).max(axis=2) > 40).sum() > 64  # of 4096 pixels: a patch


def _with(shot: Shot, what: str, value: str) -> Shot:
    if what == "place":
        scene = dataclasses.replace(shot.scene, place=value, time="day", weather="clear")
        return dataclasses.replace(shot, scene=scene)
    lead = shot.lead
    if what == "event":
        return dataclasses.replace(shot, lead=dataclasses.replace(lead, event=value))
    who = dataclasses.replace(lead.character, kind=value)
    return dataclasses.replace(shot, lead=dataclasses.replace(lead, character=who))


def test_the_camera_moves():
    still = _quiet(_shot(5))
    start, end = render_frame(still, 0.0, 64, 64), render_frame(still, 2.0, 64, 64)
    push = dataclasses.replace(still, move="push in", length_s=2.0)
    assert np.abs(render_frame(push, 0.0, 64, 64).astype(int) - start).max() == 0
    moved = np.abs(render_frame(push, 2.0, 64, 64).astype(int) - end).mean()
    assert moved > 2 * np.abs(end.astype(int) - start).mean()
