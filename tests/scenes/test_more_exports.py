"""Formats on request, each opened by an independent reader."""

import csv
import re
import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import av
import numpy as np
import pytest

from tests.pipeline.ingest.films import colours
from tests.scenes.results import HOSTILE, NTSC, NTSC_FILM, result
from tests.video.clips import add_picture, add_sound, make, tone, write_pictures, write_sound
from vujax.scenes import exports
from vujax.scenes.types import DetectedScenes
from vujax.video.probe import probe_film


def write(name: str, folder: Path, scenes: DetectedScenes) -> tuple[Path, list[str]]:
    path = exports.open_export(name).path(scenes, folder, "scenes")
    return path, exports.open_export(name).write(scenes, path)


def test_they_are_written_if_they_are_named() -> None:
    assert not set(exports.ON_REQUEST) & set(exports.select())
    assert set(exports.ON_REQUEST) <= set(exports.names())
    assert exports.select(["srt", "csv"]) == ("csv", "srt")


def test_srt_as_libav_reads_it(tmp_path: Path) -> None:
    scenes = result(start=Fraction(3))
    path, notes = write("srt", tmp_path, scenes)
    with av.open(str(path)) as file:
        found = [(p.pts, p.duration, bytes(p)) for p in file.demux() if p.size]
    assert notes == []
    assert [pts for pts, _, _ in found] == [round(1000 * s.start_s) for s in scenes.scenes]
    assert [text for _, _, text in found] == [b"Scene 1", b"Scene 2", b"Scene 3"]
    assert found[0][1] == round(1000 * scenes.scenes[0].end_s)


def test_qpfile(tmp_path: Path) -> None:
    path, notes = write("qpfile", tmp_path, result())
    assert (path.name, path.read_text(), notes) == ("scenes.qp", "0 I -1\n42 I -1\n92 I -1\n", [])


def test_qpfile_as_x264_reads_it(tmp_path: Path) -> None:
    if not shutil.which("x264"):
        pytest.skip("x264 is not installed")
    path, _ = write("qpfile", tmp_path, result())
    source, film = make(tmp_path / "a.y4m", 133, codec="wrapped_avframe"), tmp_path / "film.mkv"
    command = ["x264", "--quiet", "--preset", "ultrafast", "--qpfile", path, "-o", film, source]
    subprocess.run(list(map(str, command)), check=True)
    with av.open(str(film)) as file:
        packets = [p for p in file.demux(video=0) if p.size]
    keys = [round(p.pts * p.time_base * 24) for p in packets if p.is_keyframe]
    assert keys == [0, 42, 92]


def test_keyframe_list(tmp_path: Path) -> None:
    path, _ = write("keyframes", tmp_path, result())
    assert path.read_text() == "# keyframe format v1\nfps 0\n0\n42\n92\n"


def test_youtube(tmp_path: Path) -> None:
    minutes = [1800 * 25, 1500 * 25, 400 * 25]
    scenes = result(rate=Fraction(25), shots=minutes, boundaries=(0, 1))
    path, notes = write("youtube", tmp_path, scenes)
    assert path.read_text().splitlines() == ["0:00 Scene 1", "30:00 Scene 2", "55:00 Scene 3"]
    assert notes == []
    later = result(rate=Fraction(25), shots=[3725 * 25, 500, 500], boundaries=(0, 1))
    assert "1:02:05 Scene 2" in write("youtube", tmp_path, later)[0].read_text()
    assert "3 last less than 10 s" in write("youtube", tmp_path, result())[1][0]
    assert "it needs 3" in write("youtube", tmp_path, result(boundaries=(1,)))[1][0]


def test_matroska_chapters_as_mkvmerge_reads_them(tmp_path: Path) -> None:
    scenes = result(title=HOSTILE)
    late = replace(scenes.scenes[0], start_s=0.021)  # sound that starts before the picture
    path, _ = write("matroska", tmp_path, replace(scenes, scenes=(late, *scenes.scenes[1:])))
    times = [atom.text for atom in ET.parse(path).getroot().iter("ChapterTimeStart")]
    assert times[0] == "00:00:00.000000000"
    if not shutil.which("mkvmerge"):
        pytest.skip("mkvmerge is not installed")
    film, copy = make(tmp_path / "film.mkv"), tmp_path / "copy.mkv"
    command = ["mkvmerge", "-q", "-o", copy, "--chapters", path, film]
    subprocess.run(list(map(str, command)), check=True)
    with av.open(str(copy)) as file:
        chapters = file.chapters()
    starts = [float(one["start"] * one["time_base"]) for one in chapters]
    assert starts == pytest.approx([0, *(scene.start_s for scene in scenes.scenes[1:])], abs=1e-6)
    assert [one["metadata"]["title"] for one in chapters] == ["Scene 1", "Scene 2", "Scene 3"]


def fraction(text: str) -> Fraction:
    assert text.endswith("s")
    return Fraction(text[:-1])


@pytest.mark.parametrize("rate", [NTSC_FILM, NTSC, Fraction(25)])
def test_fcpxml_counts_whole_frames_from_the_source_timecode(
    rate: Fraction, tmp_path: Path
) -> None:
    clock = result(rate=rate).clock.with_timecode("01:00:00:00")
    scenes = result(rate=rate, clock=clock, title=HOSTILE, path=f"/films/{HOSTILE[:9]}.mp4")
    path, notes = write("fcpxml", tmp_path, scenes)
    root = ET.parse(path).getroot()
    assert (root.tag, root.get("version"), notes) == ("fcpxml", "1.10", [])
    frame = fraction(root.find("resources/format").get("frameDuration"))
    assert frame == 1 / rate
    first = fraction(root.find("resources/asset").get("start"))
    assert first == clock.timecode_frame * frame
    sequence = root.find("library/event/project/sequence")
    assert (fraction(sequence.get("tcStart")), sequence.get("tcFormat")) == (first, "NDF")
    assert fraction(sequence.get("duration")) == 133 * frame
    clips = sequence.findall("spine/asset-clip")
    starts = [(fraction(clip.get("start")) - first) / frame for clip in clips]
    assert starts == [0, 42, 92]
    assert [fraction(c.get("duration")) / frame for c in clips] == [42, 50, 41]
    assert [c.get("offset") for c in clips] == [c.get("start") for c in clips]
    assert [c.find("marker").get("value") for c in clips] == ["Scene 1", "Scene 2", "Scene 3"]


def test_fcpxml_as_opentimelineio_reads_it(tmp_path: Path) -> None:
    adapter = pytest.importorskip(
        "otio_fcpx_xml_adapter.fcpx_xml", reason="otio-fcpx-xml-adapter is not installed"
    )
    path, _ = write("fcpxml", tmp_path, result(rate=Fraction(25)))
    found = adapter.read_from_string(path.read_text())
    clips = list(found.find_clips())
    assert [clip.source_range.duration.to_seconds() for clip in clips] == [1.68, 2.0, 1.64]
    assert [clip.name for clip in clips] == ["Scene 1", "Scene 2", "Scene 3"]


def test_fcpxml_says_whether_the_film_has_sound(tmp_path: Path) -> None:
    path, _ = write("fcpxml", tmp_path, result(path=str(make(tmp_path / "a.mp4"))))
    asset = ET.parse(path).getroot().find("resources/asset")
    assert asset.get("hasAudio") is None
    odd = result(rate=Fraction(27, 2))
    assert "13.5 frames/s" in write("fcpxml", tmp_path, odd)[1][0]


def test_breaks_anywhere_as_ffmpeg_finds_them(tmp_path: Path) -> None:
    """Black and silence in the middle of a scene, and black under sound."""
    film = tmp_path / "film.mkv"
    black = np.zeros((64, 96, 3), np.uint8)
    images = [*colours((48,)), *[black] * 24, *colours((48,)), *[black] * 12, *colours((12,))]
    quiet = tone(6, 48000)
    quiet[round(1.75 * 48000) : 3 * 48000] = 0
    with av.open(str(film), "w") as file:
        video, audio = add_picture(file), add_sound(file, 48000, "flac")
        write_pictures(file, video, images)
        write_sound(file, audio, quiet, 48000)
        file.mux(audio.encode(None))
    scenes = result(rate=Fraction(24), shots=(30, 114), boundaries=(0,), path=str(film))
    scenes = replace(scenes, clock=probe_film(film).video.clock)
    path, notes = write("breaks", tmp_path, scenes)
    rows = list(csv.DictReader(path.open(newline="")))
    assert notes == []
    assert [(r["kind"], r["black_and_silent"], r["scene"]) for r in rows] == [
        ("silent", "yes", "2"),
        ("black", "yes", "2"),
        ("black", "no", "2"),
    ]
    assert rows[1]["begin_timecode"] == "00:00:02:00"
    black_s = [(float(r["begin_s"]), float(r["end_s"])) for r in rows if r["kind"] == "black"]
    silent_s = [(float(r["begin_s"]), float(r["end_s"])) for r in rows if r["kind"] == "silent"]
    np.testing.assert_allclose(black_s, [(2, 3), (5, 5.5)], atol=2e-3)
    assert silent_s == [pytest.approx((1.75, 3), abs=0.11)]
    if shutil.which("ffmpeg"):
        command = ["ffmpeg", "-i", film, "-vf", "blackdetect=d=0.1", "-af"]
        command += ["silencedetect=n=-50dB:d=0.25", "-f", "null", "-"]
        log = subprocess.run(list(map(str, command)), capture_output=True, text=True).stderr
        spans = re.findall(r"black_start:([\d.]+) black_end:([\d.]+)", log)
        np.testing.assert_allclose(np.array(spans, float), black_s, atol=0.05)
        quiet_s = re.search(r"silence_start: ([\d.]+).*silence_end: ([\d.]+)", log, re.DOTALL)
        assert tuple(map(float, quiet_s.groups())) == pytest.approx(silent_s[0], abs=0.11)


def test_breaks_of_a_silent_film(tmp_path: Path) -> None:
    film = make(tmp_path / "film.mkv", images=colours((12,)))
    scenes = result(rate=Fraction(24), shots=(12,), boundaries=(), path=str(film))
    path, notes = write("breaks", tmp_path, scenes)
    assert path.read_text().count("\n") == 1
    assert notes == ["The film has no sound: the list of breaks uses the image only."]
