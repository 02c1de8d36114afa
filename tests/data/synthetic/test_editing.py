"""The edit: shots, transitions, flashes, layers and angles."""

from collections import Counter
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from vujax.data.synthetic.editing import (
    CUT,
    DISSOLVE,
    FADE,
    KINDS,
    Card,
    Edit,
    compute_night_preference,
    make_edit,
)
from vujax.data.synthetic.render import render_frame
from vujax.data.synthetic.screen import Screen
from vujax.data.synthetic.world import make_film
from vujax.video.shots.base import split_into_shots

FPS = Fraction(24)
SIZE = (36, 64)


def _edit(number: int, minutes: float = 1.0, fps: Fraction = FPS) -> Edit:
    return make_edit(make_film(0, "train", number), fps, minutes)


@pytest.fixture(scope="module")
def edits() -> list[Edit]:
    return [_edit(number) for number in range(30)]


def test_same_key_same_edit():
    assert _edit(3) == _edit(3)
    assert _edit(3).clips != make_edit(make_film(1, "train", 3), FPS, 1.0).clips


@pytest.mark.parametrize("fps", [Fraction(5), Fraction(12), Fraction(24000, 1001), Fraction(60)])
def test_every_frame_is_in_one_shot_and_shows_one_or_two(fps: Fraction):
    edit = _edit(4, fps=fps)
    at = 0
    for number, clip in enumerate(edit.clips):
        assert clip.start == at and len(clip.alone) > 0
        at = clip.end
        assert all(edit.clip_at(frame) == number for frame in range(clip.start, clip.end))
    assert at == edit.frames
    for frame in range(edit.frames):
        layers = edit.layers(frame)
        assert len(layers) <= 2 and sum(share for _, share in layers) <= 1 + 1e-9
        shown = [n for n, clip in enumerate(edit.clips) if frame in clip.seen]
        assert [n for n, _ in layers] == shown


def test_shots_by_the_shared_rule_are_the_clips(edits):
    for edit in edits:
        transitions = [clip.into.transition for clip in edit.clips if clip.into]
        assert [(s.start, s.end) for s in split_into_shots(transitions, edit.frames)] == [
            (clip.start, clip.end) for clip in edit.clips
        ]


def test_all_kinds_occur_and_soft_ones_more_often_between_scenes(edits):
    counts = {True: Counter(), False: Counter()}
    for edit in edits:
        for a, b in pairwise(edit.clips):
            counts[a.part != b.part][b.into.kind] += 1
    share = {where: 1 - c[CUT] / c.total() for where, c in counts.items()}
    assert all(c[kind] for c in counts.values() for kind in KINDS)
    assert 0.05 < share[False] < 0.25 < share[True] < 0.7


def test_scenes_and_places_recur(edits):
    for edit in edits:
        story = [part for part in edit.parts if part.role == "story"]
        assert len(story) >= 2 and all(2 <= len(part.takes) <= 15 for part in story)
        assert [part.role for part in edit.parts[:: len(edit.parts) - 1]] == ["opening", "closing"]
    long = [part.scene.place for part in _edit(7, 10.0).parts if part.scene]
    assert len(long) > 2 * len(set(long))
    same = sum(a == b for edit in edits for a, b in pairwise(s.place for s in edit.scenes))
    assert same > 5


def test_cards_recur_between_films(edits):
    cards = [{clip.take for clip in edit.clips if isinstance(clip.take, Card)} for edit in edits]
    common = Counter(card.lines for film in cards for card in film)
    assert common[("The End",)] == len(edits)
    assert len({film[0].lines for film in ([c.take for c in e.clips] for e in edits)}) == 4


def test_length_follows_minutes():
    story = lambda edit: sum(  # noqa: E731
        clip.end - clip.start for clip in edit.clips if not isinstance(clip.take, Card)
    )
    lengths = [story(_edit(number, 3.0)) / float(FPS) / 60 for number in range(20)]
    assert min(lengths) > 2.0 and max(lengths) < 5.0 and 2.6 < np.mean(lengths) < 3.8


def test_a_film_that_prefers_the_night_has_more_of_it():
    films = sorted(
        (_edit(number, 3.0) for number in range(40)), key=lambda e: compute_night_preference(e.film)
    )
    dark = [
        np.mean([scene.time == "night" for scene in edit.scenes if scene.time != "sunset"])
        for edit in films
    ]
    assert np.mean(dark[:12]) + 0.2 < np.mean(dark[-12:])


# Pictures


def _shares(edit: Edit, number: int, frame: int) -> np.ndarray:
    """Measure the shares of shots number - 1 and number in the pixels of a frame."""
    drawn = [
        render_frame(edit.clips[n].take, edit.time_s(n, frame), *SIZE).ravel()
        for n in (number - 1, number)
    ]
    picture = Screen(edit, *SIZE).frame(frame).ravel()
    return np.linalg.lstsq(np.stack(drawn, 1).astype(float), picture.astype(float), rcond=None)[0]


@pytest.mark.parametrize("kind", [DISSOLVE, FADE])
def test_extents_are_those_of_the_pixels(edits, kind: str):
    joins = [
        (edit, number, clip.into)
        for edit in edits
        for number, (before, clip) in enumerate(pairwise(edit.clips), 1)
        if clip.into.kind == kind and not isinstance(before.take, Card)
        if not isinstance(clip.take, Card)
    ]
    assert len(joins) >= 5
    for edit, number, join in joins[:5]:
        for frame in range(join.last, join.first + 1):
            old, new = _shares(edit, number, frame)
            step_old, step_new = 1 / (join.leaving + 1), 1 / (join.coming + 1)
            assert old == pytest.approx(max(0, 1 - (frame - join.last) * step_old), abs=0.02)
            assert new == pytest.approx(max(0, 1 - (join.first - frame) * step_new), abs=0.02)
    if kind == DISSOLVE:
        assert sum(join.weights(join.last + 1)) == pytest.approx(1)


def test_a_fade_reaches_black(edits):
    edit, join = next((e, c.into) for e in edits for c in e.clips if c.into and c.into.kind == FADE)
    black = join.last + 1 + join.leaving
    assert edit.layers(black) == () and Screen(edit, *SIZE).frame(black).max() == 0


def test_flashes_are_white_and_inside_one_shot(edits):
    flashes = [(edit, flash) for edit in edits for flash in edit.flashes]
    assert len(flashes) > 5
    for edit, flash in flashes:
        alone = edit.clips[edit.clip_at(flash.first)].alone
        assert alone.start + 3 <= flash.first <= flash.last < alone.stop - 3
    for edit, flash in flashes[:5]:
        frames = [Screen(edit, *SIZE).frame(f) for f in range(flash.first - 1, flash.last + 2)]
        assert all(frame.min() >= 0.74 * 255 for frame in frames[1:-1])
        assert frames[0].min() < 150 and frames[-1].min() < 150


def test_shot_and_reverse_shot_see_other_walls_and_the_same_ones_again():
    walls: dict[tuple[str, int], set] = {}
    for clip in _edit(7, 10.0).clips:
        if not isinstance(clip.take, Card):
            scene, side = clip.take.scene, clip.take.side
            walls.setdefault((scene.place, side), set()).add(scene.film.palette)
    assert {len(palettes) for palettes in walls.values()} == {1}
    for place, _ in walls:
        (here,), (there,) = walls[place, 1], walls[place, -1]
        away = np.abs(np.subtract(here.wall, there.wall)).max()
        assert 0.005 < away < 0.8 and here.wall == make_film(0, "train", 7).palette.wall


def test_no_two_shots_are_lit_alike(edits):
    """Within a third of the film's own light, which stays on average."""
    ratios = [
        clip.take.scene.film.exposure[1] / edit.film.exposure[1]
        for edit in edits
        for clip in edit.clips
        if not isinstance(clip.take, Card)
    ]
    assert min(ratios) > 0.65 and max(ratios) < 1.4 and np.std(ratios) > 0.08
    assert abs(np.mean(ratios) - 1) < 0.02 and len(set(ratios)) == len(ratios)


def test_golden_edit():
    """Recorded once: a change here changes every published figure of the films."""
    edit = _edit(0, 3.0)
    assert (edit.frames, len(edit.clips), len(edit.flashes)) == (3772, 27, 2)
    kinds = [clip.into.kind for clip in edit.clips[1:7]]
    assert kinds == ["cut", "fade", "cut", "cut", "cut", "dissolve"]
    assert abs(float(Screen(edit, *SIZE).frame(300).mean()) - 96.29) < 0.05


def test_a_frame_is_a_function_of_its_number(edits):
    """Whatever was drawn before it; a screen keeps sets that stand still."""
    edit = edits[1]
    screen = Screen(edit, *SIZE)
    forward = {frame: screen.frame(frame) for frame in range(40, 400, 3)}
    for frame in (394, 100, 52, 238):
        np.testing.assert_array_equal(forward[frame], Screen(edit, *SIZE).frame(frame))
    for frame in (361, 70):
        ((number, share),) = edit.layers(frame)
        take = edit.clips[number].take
        expected = Screen(edit, *SIZE).frame(frame)
        if not isinstance(take, Card):
            expected = render_frame(take, edit.time_s(number, frame), *SIZE)
        assert share == 1
        np.testing.assert_array_equal(screen.frame(frame), expected)


def test_frames_outside_say_so(edits):
    with pytest.raises(IndexError, match="frame -1 is outside"):
        edits[0].layers(-1)
    with pytest.raises(IndexError, match="is outside"):
        Screen(edits[0], *SIZE).frame(edits[0].frames)
