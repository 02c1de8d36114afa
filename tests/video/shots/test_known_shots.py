"""Shot lists as a detector: times become frames of a film."""

import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.video import clips
from vujax.video.decode import Chunk, FrameReader
from vujax.video.shots import open_detector
from vujax.video.shots.base import Transition
from vujax.video.shots.shot_lists import KnownShots
from vujax.video.timecode import Clock


class Picture:
    """All that a known list asks of a picture."""

    def __init__(self, rate: int = 24, start: Fraction = Fraction(0), timecode: str = "") -> None:
        self.clock = Clock(Fraction(1, 1000), start, Fraction(rate))
        self.timecode = timecode


def find(path: Path, pts: np.ndarray, picture: Picture, step: int = 5, **options: Fraction) -> list:
    detection, found = KnownShots(path, **options).start(picture), []
    for i in range(0, len(pts), step):
        part = pts[i : i + step]
        before = detection.decided
        new = detection.add(Chunk(part, np.zeros((len(part), 27, 48, 3), np.uint8), ()))
        assert all(t.boundary >= before for t in new)
        found += new
    return found + detection.finish()


def ticks(frames: int, rate: int = 24, start: float = 0.0) -> np.ndarray:
    return np.round((np.arange(frames) / rate + start) * 1000).astype(np.int64)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("step", [1, 5, 1000])
def test_frames_gaps_and_overlaps(tmp_path: Path, step: int) -> None:
    path = write(tmp_path, "tt1.txt", "0 9\n10 29\n40 59\n50 79\n")
    found = find(path, ticks(100), Picture(), step)
    assert found == [
        Transition(9, 10, "cut"),
        Transition(29, 40, "gradual"),
        Transition(49, 60, "gradual"),
    ]


def test_times_count_from_the_films_start(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "begin_s\n0\n1.01\n2\n")
    found = find(path, ticks(100, start=1.4), Picture(start=Fraction(7, 5)))
    assert found == [Transition(23, 24), Transition(47, 48)]


def test_uneven_frames_take_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "begin_s\n0\n1\n")
    pts = np.array([0, 40, 80, 500, 970, 1020, 1060])
    assert find(path, pts, Picture(), step=2) == [Transition(4, 5)]
    pts[4] = 990  # less than half a frame, 20.8 ms, before
    assert find(path, pts, Picture(), step=2) == [Transition(3, 4)]


def test_a_list_may_have_a_rate_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, "tt1.txt", "0 23\n24 47\n")
    assert find(path, ticks(100, 30), Picture(30), rate=Fraction(24)) == [Transition(29, 30)]
    assert find(path, ticks(100, 30), Picture(30)) == [Transition(23, 24)]
    with pytest.raises(ValueError, match="rate must be positive, got 0"):
        KnownShots(path, rate=Fraction(0))


def test_dissolves_keep_their_extent(tmp_path: Path) -> None:
    line = "001 A V {} 00:00:00:00 00:00:01:00 01:00:0{}:00 01:00:0{}:00\n"
    text = line.format("C", 0, 1) + line.format("D 012", 1, 3) + line.format("C", 3, 4)
    found = find(write(tmp_path, "a.edl", text), ticks(96), Picture())
    assert found == [Transition(23, 36, "dissolve"), Transition(71, 72)]


def test_a_list_for_a_longer_film_shows(tmp_path: Path) -> None:
    path = write(tmp_path, "tt1.txt", "0 9\n10 29\n40 59\n60 79\n80 99\n")
    detection = KnownShots(path).start(Picture())
    found = detection.add(Chunk(ticks(35), np.zeros((35, 27, 48, 3), np.uint8), ()))
    assert detection.decided == 30
    assert found + detection.finish() == [Transition(9, 10)]
    assert detection.beyond == 3


def test_a_film_is_cut_as_its_list_says(tmp_path: Path) -> None:
    film = clips.make(tmp_path / "film.mp4", 48)
    path = write(tmp_path, "film.txt", "0 11\n12 30\n31 47\n")
    detector = open_detector(str(path))
    reader = FrameReader(film, size=detector.size, chunk=10)
    detection = detector.start(reader.video)
    found = [t for chunk in reader for t in detection.add(chunk)]
    assert [(t.last, t.first) for t in [*found, *detection.finish()]] == [(11, 12), (30, 31)]


def test_names_follow_the_lists_content(tmp_path: Path) -> None:
    one = KnownShots(write(tmp_path, "a.txt", "0 9\n"))
    same = KnownShots(write(tmp_path, "b.txt", "0 9\n"))
    other = KnownShots(write(tmp_path, "c.txt", "0 8\n"))
    assert one.name == same.name != other.name
    assert KnownShots(tmp_path / "a.txt", rate=Fraction(25)).name != one.name


def test_detectors_go_by_name(tmp_path: Path) -> None:
    assert open_detector("transnetv2", exact=True).name.startswith("transnetv2")
    assert open_detector("transnetv2").size == (27, 48)
    with pytest.raises(ValueError, match="unknown shot detector 'transnet'"):
        open_detector("transnet")
    with pytest.raises(FileNotFoundError, match=r"none\.csv is not a file; give"):
        open_detector(str(tmp_path / "none.csv"))


def test_detectors_go_to_other_processes(tmp_path: Path) -> None:
    pytest.importorskip("scenedetect", reason="extra [scenedetect] is missing")
    path = write(tmp_path, "tt1.txt", "0 9\n10 29\n")
    for name in ("transnetv2", "adaptive", "content", str(path)):
        detector = open_detector(name)
        assert pickle.loads(pickle.dumps(detector)).name == detector.name


EVENTS = (
    "001 A V C 00:00:00:00 00:00:01:00 {0}:00 {1}:00\n"
    "002 A V C 00:00:01:00 00:00:02:00 {1}:00 {2}:00\n"
)


@pytest.mark.parametrize(
    ("name", "text", "first"),
    [
        ("a.edl", EVENTS, ""),
        ("a.edl", EVENTS, "10:59:50:00"),
        ("a.edl", EVENTS, "23:59:59:00"),
        ("a.csv", "begin_timecode\n{0}:00\n{1}:00\n", ""),
        ("a.csv", "begin_timecode\n{0}:00\n{1}:00\n", "10:59:50:00"),
        ("a.txt", "0 23\n24 47\n", "10:59:50:00"),
    ],
)
def test_frames_and_timecodes_count_from_the_first_picture(
    tmp_path: Path, name: str, text: str, first: str
) -> None:
    clock = Clock(Fraction(1, 1000), rate=Fraction(24))
    clock = clock.with_timecode(first) if first else clock
    text = text.format(*(clock.frame_timecode(24 * second)[:8] for second in range(3)))
    late = ticks(60, start=0.51)  # after half a second of sound
    path = write(tmp_path, name, text)
    assert find(path, late, Picture(timecode=first)) == [Transition(23, 24)]


def test_a_program_that_starts_before_the_hour(tmp_path: Path) -> None:
    line = "001 A V C 00:00:00:00 00:00:01:00 00:59:5{}:00 00:59:5{}:00\n"
    path = write(tmp_path, "a.edl", line.format(0, 1) + line.format(1, 2))
    assert find(path, ticks(60), Picture()) == [Transition(23, 24)]
