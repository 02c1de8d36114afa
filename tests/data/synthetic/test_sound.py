"""The soundtrack: any block on its own, in sync, leading or lagging scenes."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from vujax.data.synthetic.editing import Edit, make_edit
from vujax.data.synthetic.sound import Soundtrack, _place_spans
from vujax.data.synthetic.world import make_film

RATE = 8000


@pytest.fixture(scope="module")
def edit() -> Edit:
    films = (make_edit(make_film(0, "train", n), Fraction(24), 1.0) for n in range(99))
    return next(e for e in films if e.flashes and len(e.scenes) > 2)


def test_any_stretch_is_that_of_the_whole(edit):
    track = Soundtrack(edit, RATE, channels=2)
    whole = track.block(0, track.samples)
    assert whole.shape == (2, round(edit.frames / edit.fps * RATE)) and whole.dtype == np.float32
    for first, count in ((0, 10), (track.samples // 2, 777), (track.samples - 5, 99)):
        part = Soundtrack(edit, RATE, channels=2).block(first, count)
        np.testing.assert_array_equal(part, whole[:, first : first + count])
    assert np.abs(whole).max() <= 1.0 and 0.02 < whole.std() < 0.3
    assert np.any(whole[0] != whole[1])


def test_a_flash_clicks_with_its_first_frame(edit):
    track, flash = Soundtrack(edit, 48000), edit.flashes[0]
    begin = round(flash.first / edit.fps * 48000)
    sound = track.block(begin - 4800, 9600)[0]
    loud = np.abs(np.diff(sound))
    assert abs(int(np.argmax(loud > 0.5 * loud.max())) - 4800) < 48  # a millisecond


def test_places_sound_their_own_way_and_the_same_again():
    """Nearest neighbours of spectra in a long film: the same place, far more often than chance."""
    edit = make_edit(make_film(0, "train", 3), Fraction(24), 8.0)
    track = Soundtrack(edit, RATE)
    spans = [(place, a + 1, a + 7) for place, a, b in _place_spans(edit) if b - a > 8]
    spectra = []
    for _, begin, end in spans:
        sound = track.block(round(begin * RATE), round((end - begin) * RATE))[0]
        frames = sound[: len(sound) // 1024 * 1024].reshape(-1, 1024)
        # Quantiles over time leave the theme's single notes out.
        spectra.append(np.log(np.quantile(np.abs(np.fft.rfft(frames)), 0.25, axis=0) + 1e-3))
    away = ((np.array(spectra)[:, None] - np.array(spectra)[None]) ** 2).sum(-1)
    np.fill_diagonal(away, np.inf)
    places = np.array([place for place, _, _ in spans])
    agree = (places[away.argmin(axis=1)] == places).mean()
    chance = (places[:, None] == places[None]).mean()
    assert agree > 0.7 > 1.5 * chance


def test_sound_changes_near_the_scene_but_not_with_it(edit):
    spans = _place_spans(edit)
    pairs = pairwise(edit.clips)
    begins = [float(new.start / edit.fps) for old, new in pairs if old.part != new.part]
    moved = [min(abs(begin - b) for b in begins) for _, begin, _ in spans[1:]]
    assert max(moved) > 0.02 and max(moved) <= 1.0
