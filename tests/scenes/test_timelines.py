"""Frame numbers and timecodes of films in containers whose clocks differ."""

import csv
from fractions import Fraction
from pathlib import Path

import av
import opentimelineio as otio
import pytest

from tests.pipeline.ingest.films import colours
from tests.scenes.test_odd_films import find
from tests.video.clips import add_picture, add_sound, tone, write_pictures, write_sound
from vujax.scenes.types import DetectedScenes
from vujax.video.shots.shot_lists import read_shot_list

RATE = Fraction(24000, 1001)
LENGTHS = (30, 12, 50, 26)
STARTS = [0, 30, 42, 92]


def film(path: Path, late_s: float, timecode: str = "") -> Path:
    """Write a film whose sound starts at 0 and whose picture starts later, at 23.976 frames/s."""
    with av.open(str(path), "w") as container:
        if timecode:
            container.metadata["timecode"] = timecode
        video = add_picture(container, rate=RATE, time_base=Fraction(1, 24000))
        audio = add_sound(container, 48000, "mp2")
        first = round(late_s * 24000)
        pts = [first + 1001 * frame for frame in range(sum(LENGTHS))]
        write_sound(container, audio, tone(5, 48000), 48000)
        write_pictures(container, video, colours(LENGTHS), pts, Fraction(1, 24000))
        container.mux(audio.encode(None))
    return path


def lists(path: Path) -> tuple[list[float], list[int], list[str]]:
    """Return starts of scenes by the EDL, the OTIO timeline, and timecodes of the table."""
    out = path.parent.parent / "out"
    spans = read_shot_list(out / "scenes.edl", RATE)
    timeline = otio.adapters.read_from_file(str(out / "scenes.otio"))
    (track,) = timeline.video_tracks()
    first = timeline.global_start_time
    starts = [(clip.source_range.start_time - first).value for clip in track]
    with (out / "scenes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["first_frame"]) for row in rows] == STARTS
    return [span.start * RATE for span in spans], starts, [row["begin_timecode"] for row in rows]


def scenes_of(path: Path, **options: object) -> DetectedScenes:
    path.parent.mkdir(exist_ok=True)
    return find(path, scenes=4, formats=("edl", "otio", "csv", "vtt"), **options)


@pytest.mark.parametrize("late_s", [0.0, 0.021, 0.5])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov"])
def test_frames_count_from_the_first_picture(suffix: str, late_s: float, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = film(tmp_path / "in" / f"a.{suffix}", late_s)
    found = scenes_of(source)
    expected = ["00:00:00:00", "00:00:01:06", "00:00:01:18", "00:00:03:20"]
    assert lists(source) == (STARTS, STARTS, expected)
    assert [scene.timeline_start for scene in found.scenes] == STARTS
    # Seconds stay on the clock of players, which starts with the sound.
    first_s = found.scenes[0].start_s
    assert first_s == pytest.approx(late_s, abs=0.02)  # the encoder of sound delays it
    starts_s = [scene.start_s - first_s for scene in found.scenes]
    assert starts_s == pytest.approx([float(s / RATE) for s in STARTS], abs=2e-3)


def test_the_source_timecode_is_carried(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = film(tmp_path / "in" / "a.mov", 0.0, "01:00:00:00")
    scenes_of(source)
    starts, frames, timecodes = lists(source)
    assert (starts, frames) == (STARTS, STARTS)
    assert timecodes == ["01:00:00:00", "01:00:01:06", "01:00:01:18", "01:00:03:20"]
    edl = (tmp_path / "out" / "scenes.edl").read_text()
    assert "01:00:01:06 01:00:01:18 01:00:01:06 01:00:01:18" in edl
