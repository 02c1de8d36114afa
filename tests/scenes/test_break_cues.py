"""Detection of silent and black scene boundaries."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.ingest.films import COLOURS
from tests.scenes.results import result
from tests.video.clips import add_picture, add_sound, tone, write_pictures, write_sound
from vujax.scenes import break_cues
from vujax.scenes.types import DetectedScenes
from vujax.video.probe import probe_film

RATE = 16000


def film(path: Path, black: tuple[int, int] = (0, 0), silent: tuple[float, float] = (0, 0)) -> Path:
    """Write three scenes of 2 s, with black frames `black` and silent seconds `silent`."""
    import av

    images = [np.full((64, 96, 3), COLOURS[i // 48], np.uint8) for i in range(144)]
    for i in range(*black):
        images[i][:] = 3
    sound = tone(6.0, RATE)
    sound[round(silent[0] * RATE) : round(silent[1] * RATE)] = 0
    with av.open(str(path), "w") as container:
        video = add_picture(container)
        audio = add_sound(container, RATE, "pcm_s16le")
        write_pictures(container, video, images)
        write_sound(container, audio, sound, RATE)
        container.mux(audio.encode(None))
    return path


def scenes(path: Path) -> DetectedScenes:
    clock = probe_film(path).video.clock
    made = result(shots=(48, 48, 48), boundaries=(0, 1), rate=Fraction(24), start=clock.start)
    pts = [replace(s, start_pts=clock.pts(Fraction(s.start_s))) for s in made.scenes]
    return replace(made, path=str(path), clock=clock, scenes=tuple(pts))


def test_a_silent_border(tmp_path: Path) -> None:
    (cue,), notes = break_cues.find_break_cues(scenes(film(tmp_path / "a.mkv", silent=(4.3, 4.7))))
    assert (cue.scene, cue.silent, cue.black) == (3, True, False)
    assert cue.level_db == break_cues.QUIETEST_DB
    assert notes == []
    # Not long before the border, and not long after it.
    for silent in ((3.05, 3.4), (4.6, 4.95)):
        (cue,), _ = break_cues.find_break_cues(scenes(film(tmp_path / "a.mkv", silent=silent)))
        assert (cue.scene, cue.silent) == (3, True)
    # Too short, and too far away from any border.
    for silent in ((4.1, 4.3), (0.5, 0.95), (4.95, 5.3)):
        assert break_cues.find_break_cues(scenes(film(tmp_path / "b.mkv", silent=silent))) == (
            (),
            [],
        )


def test_a_black_border(tmp_path: Path) -> None:
    (cue,), _ = break_cues.find_break_cues(scenes(film(tmp_path / "a.mkv", black=(44, 48))))
    assert (cue.scene, cue.silent, cue.black) == (2, False, True)
    assert cue.seconds == pytest.approx(2.0)
    assert cue.level_db == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.2)
    assert break_cues.find_break_cues(scenes(film(tmp_path / "b.mkv", black=(70, 76))))[0] == ()


def test_a_film_without_sound_has_its_picture(tmp_path: Path) -> None:
    from tests.pipeline.ingest.films import film as mute

    found, notes = break_cues.find_break_cues(scenes(mute(tmp_path / "a.mp4", (48, 48, 48))))
    assert found == ()
    assert "no sound" in notes[0]


def test_one_scene_has_no_border() -> None:
    assert break_cues.find_break_cues(result(shots=(9,), boundaries=(), path="/nowhere")) == (
        (),
        [],
    )


def test_sound_that_ends_early_is_silent_after_it() -> None:
    energy = break_cues.compute_energies(
        [np.full(4000, 0.5, np.float32), np.full(4100, 0.5, np.float32)]
    )
    assert energy == pytest.approx(np.full(10, 0.25))
    assert break_cues.to_decibels(0.25) == pytest.approx(-6.02, abs=0.01)
    assert break_cues.to_decibels(0.0) == break_cues.QUIETEST_DB


def test_what_is_black() -> None:
    picture = np.full((48, 85, 3), 20, np.uint8)
    assert break_cues.is_black(picture)
    picture[:2] = 200  # more than 2% of it
    assert not break_cues.is_black(picture)
