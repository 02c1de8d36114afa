"""Films on disk: a decoder sees and hears what the ground truth states."""

import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vujax.cli import main
from vujax.data.synthetic import video
from vujax.data.synthetic.editing import DISSOLVE, KINDS
from vujax.data.synthetic.films import build_film_truth, make_film_edit
from vujax.data.synthetic.ground_truth import FilmTruth, Settings, read_truth
from vujax.data.synthetic.screen import Screen
from vujax.data.synthetic.sound import Soundtrack
from vujax.data.synthetic.video import write_set
from vujax.video.audio import AudioReader
from vujax.video.decode import FrameReader

SMALL = dict(height=48, width=80, fps="15000/1001", minutes=0.1, sound_rate=16000, workers=1)
SEED = 45  # its first film is short and has cuts, dissolves, fades and a flash
TINY = dict(height=16, width=32, fps=5, minutes=0.1, sound_rate=8000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_set(folder, 1, seed=SEED, channels=2, **SMALL)
    return folder


@pytest.fixture(scope="module")
def film(folder: Path) -> tuple[Path, FilmTruth]:
    truth = read_truth(folder / "film-0000.truth.json")
    assert truth.flashes and {shot.into.kind for shot in truth.shots[1:]} == set(KINDS)
    return folder / "film-0000.mp4", truth


@pytest.fixture(scope="module")
def decoded(film) -> tuple[FrameReader, np.ndarray, np.ndarray]:
    """Return the reader, the times in ticks and all frames, uint8 [n h w 3]."""
    path, truth = film
    size = (truth.settings.height, truth.settings.width)
    reader = FrameReader(path, size=size, every_s=None)
    chunks = list(reader)
    return (
        reader,
        np.concatenate([c.pts for c in chunks]),
        np.concatenate([c.small for c in chunks]),
    )


def test_the_file_has_the_frames_and_times_of_the_truth(film, decoded):
    _, truth = film
    reader, pts, frames = decoded
    assert reader.status.is_complete and len(frames) == truth.frames
    assert reader.video.clock.rate == truth.fps == Fraction(15000, 1001)
    seconds = [reader.video.clock.seconds(int(p)) for p in pts]
    tick = reader.video.clock.time_base
    assert all(abs(s - k / truth.fps) <= tick for k, s in enumerate(seconds))
    assert not reader.video.variable_rate and reader.film.video.start_s == 0


def test_every_frame_is_the_one_that_was_drawn(film, decoded):
    _, truth = film
    screen = Screen(make_film_edit(truth.settings, truth.number), 48, 80)
    away = [np.abs(decoded[2][k].astype(int) - screen.frame(k)).mean() for k in range(truth.frames)]
    # Grain and half the colour's sharpness are lost; a frame of another shot is away by more.
    assert np.mean(away) < 8 and max(away) < 14


def test_mix_weights_can_be_measured_in_the_file(film, decoded):
    _, truth = film
    edit = make_film_edit(truth.settings, truth.number)
    joins = [(k, s.into) for k, s in enumerate(truth.shots) if s.into and s.into.kind == DISSOLVE]
    for k, join in joins:
        for frame in range(join.last + 1, join.first):
            parts = []
            for number in (k - 1, k):
                screen = Screen(edit, 48, 80)
                parts.append(screen._layer(number, frame).ravel().astype(float))
            pixels = decoded[2][frame].ravel().astype(float)
            old, new = np.linalg.lstsq(np.stack(parts, 1), pixels, rcond=None)[0]
            assert (old, new) == pytest.approx(join.weights(frame), abs=0.12)


def test_sound_is_in_step(film):
    """Check that the decoded track matches the written one without shift, to 1 ms."""
    path, truth = film
    reader = AudioReader(path, rate=16000)
    heard = np.concatenate(list(reader))
    assert reader.status.is_complete and reader.audio.channels == 2
    assert abs(len(heard) / 16000 - truth.duration_s) < 0.1
    made = Soundtrack(make_film_edit(truth.settings, truth.number), 16000, 2)
    made = made.block(0, made.samples).mean(axis=0)
    loud = [k for k in range(16000, len(made) - 48000, 32000) if made[k : k + 32000].std() > 0.01]
    assert len(loud) > 5
    for begin in loud:
        a, b = made[begin : begin + 32000], heard[begin - 800 : begin + 32800]
        match = np.correlate(b - b.mean(), a - a.mean(), "valid")
        assert abs(int(match.argmax()) - 800) <= 16


def _times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def _write(folder: Path, films: int = 2, **options) -> None:
    write_set(folder, films, workers=1, **(TINY | options))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    _write(folder)
    return folder


@pytest.fixture
def tiny(drawn: Path, tmp_path: Path) -> Path:
    """Write a folder with two films."""
    return Path(shutil.copytree(drawn, tmp_path / "tiny"))


def test_whole_films_are_not_drawn_again(tiny: Path):
    before = _times(tiny)
    assert set(before) == {
        *("film-0000.mp4", "film-0000.truth.json", "film-0001.mp4", "film-0001.truth.json"),
        "set.json",
    }
    done = []
    write_set(tiny, 2, workers=1, progress=lambda *step: done.append(step), **TINY)
    assert _times(tiny) == before
    assert done == [("film-0000", 1, 2), ("film-0001", 2, 2)]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    "name, damage",
    [
        ("film-0001.mp4", _cut),
        ("film-0001.mp4", Path.unlink),
        ("film-0001.truth.json", _cut),
        ("film-0001.truth.json", Path.unlink),
    ],
)
def test_what_is_damaged_is_drawn_again_and_nothing_else(tiny: Path, name: str, damage):
    before, whole = _times(tiny), (tiny / name).read_bytes()
    damage(tiny / name)
    _write(tiny)
    after = _times(tiny)
    changed = {key for key in after if before[key] != after[key]}
    assert changed == {"film-0001.mp4", "film-0001.truth.json"}
    assert (tiny / name).read_bytes() == whole


def _kill_in_the_second_film(folder: Path, monkeypatch, seed: int) -> None:
    settings = Settings(seed, "train", 0.1, Fraction(5), 16, 32, 8000, 1)  # those of TINY
    left = [build_film_truth(settings, 0).frames + 30]

    class Killed(Screen):
        def frame(self, number: int) -> np.ndarray:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return super().frame(number)

    monkeypatch.setattr(video, "Screen", Killed)
    with pytest.raises(KeyboardInterrupt):
        _write(folder, seed=seed)
    monkeypatch.undo()


def test_a_run_that_was_killed_goes_on(tmp_path: Path, monkeypatch):
    """Killed in the middle of the second film: no set, no half-written film, nothing left over."""
    _kill_in_the_second_film(tmp_path, monkeypatch, seed=0)
    before = _times(tmp_path)
    assert set(before) == {"film-0000.mp4", "film-0000.truth.json"}
    (tmp_path / ".film-0001.mp4.4711.tmp").write_bytes(b"what a kill -9 leaves")
    _write(tmp_path)
    after = _times(tmp_path)
    assert before.items() <= after.items()
    assert set(after) - set(before) == {"film-0001.mp4", "film-0001.truth.json", "set.json"}


def test_no_truth_stands_beside_another_film(tiny: Path, monkeypatch):
    _kill_in_the_second_film(tiny, monkeypatch, seed=5)
    assert set(_times(tiny)) == {"film-0000.mp4", "film-0000.truth.json", "film-0001.mp4"}


def test_other_settings_replace_the_films(tiny: Path):
    before = _times(tiny)
    _write(tiny, seed=5)
    assert all(before[name] != now for name, now in _times(tiny).items())
    assert read_truth(tiny / "film-0001.truth.json").settings.seed == 5
    assert read_truth(tiny / "set.json").settings.seed == 5


def test_workers_write_the_same(drawn: Path, tmp_path: Path):
    write_set(tmp_path, 2, workers=2, **TINY)
    assert set(_times(tmp_path)) == set(_times(drawn))
    for name in _times(drawn):
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes()


def test_the_command(tmp_path: Path, monkeypatch, capsys):
    words = ["synthesize", "--films", "1", "--out", str(tmp_path / "new"), "--fps", "5"]
    words += ["--height", "16", "--width", "32", "--minutes", "0.1", "--workers", "1"]
    assert main(words) == 0
    assert "1 films" in capsys.readouterr().out
    assert len(read_truth(tmp_path / "new" / "set.json").films) == 1
    assert main([*words, "--width", "33"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "must be even" in line
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


RUN = f"""
import sys
from vujax.data.synthetic.video import write_set
show = lambda name, done, films: print(name, flush=True)
write_set(sys.argv[1], 4, workers=2, progress=show, **{TINY})
"""


def test_kill_9_leaves_no_worker_and_no_harm(drawn: Path, tmp_path: Path):
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("film-")
    process.kill()
    process.communicate(timeout=60)  # the pipe closes when the last worker has ended
    assert "set.json" not in _times(tmp_path)
    _write(tmp_path)
    for name in _times(drawn):
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"split": "test"}, "unknown split 'test'; expected one of: train, validation"),
        ({"height": 49}, "must be even"),
        ({"fps": "24/0"}, "fps must be a rate such as 24 or 24000/1001, got '24/0'"),
        ({"fps": 1}, "fps must be within 5..120, got 1"),
        ({"minutes": float("nan")}, "minutes must be within 0..600, got nan"),
        ({"channels": 3}, "channels must be within 1..2, got 3"),
        ({"workers": 0}, "workers must be within 1..1024, got 0"),
    ],
)
def test_wrong_options_say_so(tmp_path: Path, options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        write_set(tmp_path / "new", 1, **(SMALL | options))
    assert not (tmp_path / "new").exists()
