"""Exports read back by other readers, at television frame rates and with hostile names."""

import csv
import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import opentimelineio as otio
import pytest

from tests.scenes.results import HOSTILE, NTSC, NTSC_FILM, result
from vujax.scenes import exports
from vujax.scenes.types import BreakCue, ExportOptions
from vujax.video.shots.shot_lists import read_shot_list
from vujax.video.timecode import nearest_timecode_rate, parse_timecode

RATES = (NTSC_FILM, NTSC, Fraction(25), Fraction(4))
ODD = Fraction(4)  # a rate that editors do not have, which is noted
CUE = re.compile(r"(\d+)\n(\d\d):(\d\d):(\d\d\.\d{3}) --> (\d\d):(\d\d):(\d\d\.\d{3})\n(.+)")


def written(name: str, folder: Path, **options: object) -> tuple[Path, object, list[str]]:
    """Write a file, and return its path, the scenes and the notes."""
    scenes = result(title=HOSTILE, path=f"/films/{HOSTILE.replace('/', ' ')}.mp4", **options)
    path = exports.open_export(name).path(scenes, folder, "scenes")
    return path, scenes, exports.open_export(name).write(scenes, path)


@pytest.mark.parametrize("rate", RATES)
def test_csv(rate: Fraction, tmp_path: Path) -> None:
    path, film, notes = written("csv", tmp_path, rate=rate)
    rows = list(csv.DictReader(path.open(newline="", encoding="utf-8")))
    assert [int(row["first_frame"]) for row in rows] == [0, 42, 92]
    assert [row["score"] for row in rows] == ["", "0.900000", "0.900000"]
    assert rows[1]["begin_timecode"] == film.scenes[1].start_timecode
    spans = read_shot_list(path, rate)  # what `vujax ingest --shots` reads
    assert [round(span.start * rate) for span in spans] == [0, 42, 92]
    assert notes == []


@pytest.mark.parametrize("rate", RATES)
def test_vtt(rate: Fraction, tmp_path: Path) -> None:
    path, film, _ = written("vtt", tmp_path, rate=rate)
    head, *cues = path.read_text("utf-8").strip().split("\n\n")
    assert head.startswith("WEBVTT ")
    assert "\n" not in head
    assert "-->" not in head
    found = [CUE.fullmatch(cue).groups() for cue in cues]
    ends = [60 * (60 * int(h) + int(m)) + float(s) for _, *_, h, m, s, _ in found]
    assert ends == pytest.approx([scene.end_s for scene in film.scenes], abs=5e-4)
    assert [title for *_, title in found] == ["Scene 1", "Scene 2", "Scene 3"]


@pytest.mark.parametrize("rate", RATES)
def test_ffmetadata_as_libav_reads_it(rate: Fraction, tmp_path: Path) -> None:
    path, film, _ = written("ffmetadata", tmp_path, rate=rate, start=Fraction(3))
    with av.open(str(path), format="ffmetadata") as file:
        assert file.metadata == {"title": " ".join(HOSTILE.split())}
        chapters = file.chapters()
    starts = [float(one["start"] * one["time_base"]) for one in chapters]
    assert starts == pytest.approx([scene.start_s for scene in film.scenes], abs=1e-6)
    assert [one["end"] for one in chapters[:-1]] == [one["start"] for one in chapters[1:]]
    assert [one["metadata"]["title"] for one in chapters] == ["Scene 1", "Scene 2", "Scene 3"]


@pytest.mark.parametrize("rate", RATES)
def test_edl(rate: Fraction, tmp_path: Path) -> None:
    path, film, notes = written("edl", tmp_path, rate=rate, shots=(3000, 12, 5000, 41))
    text = path.read_text("utf-8")
    assert ("FCM: DROP FRAME" if rate == NTSC else "FCM: NON-DROP FRAME") in text.splitlines()
    assert len(text.splitlines()) == 3 + 3 * 3 + len(notes)  # no name starts a line of its own
    counted = nearest_timecode_rate(rate)
    spans = read_shot_list(path, rate)
    edges = [(span.start * counted, span.end * counted) for span in spans]
    assert edges == [(0, 3012), (3012, 8012), (8012, 8053)]
    assert parse_timecode(film.scenes[2].start_timecode, counted) == 8012
    assert len(notes) == (rate == ODD)


def test_edl_says_what_it_cannot_hold(tmp_path: Path) -> None:
    _, _, notes = written("edl", tmp_path, shots=(2,) * 1001, boundaries=range(1000))
    assert "1001 events" in notes[0]
    path, _, notes = written("edl", tmp_path, variable_rate=True)
    assert "rate varies: the EDL counts time at 23.976 frames/s." in notes[0]
    assert f"* {notes[0]}" in path.read_text("utf-8")
    _, _, notes = written("edl", tmp_path, rate=Fraction(27, 2))
    assert "13.5 frames/s is not a rate of editors: the EDL counts time at 13.986" in notes[0]
    assert "--edl-rate" in notes[0]


def test_edl_at_the_rate_of_the_project(tmp_path: Path) -> None:
    fast = result(rate=Fraction(120), shots=(240, 121, 1000), boundaries=(1,))
    with pytest.raises(ValueError, match=r"EDLs have no rate of 120 frames/s; .* --edl-rate 60"):
        exports.open_export("edl").write(fast, tmp_path / "a.edl")
    assert list(tmp_path.iterdir()) == []
    half = replace(fast, export=ExportOptions(edl_rate=Fraction(60), reel="A001_C002"))
    notes = exports.open_export("edl").write(half, tmp_path / "a.edl")
    assert [note.split(":")[0] for note in notes] == [
        "The EDL's reel name is longer than the 8 characters of CMX3600.",
        "The film has 120 frames/s",
    ]
    text = (tmp_path / "a.edl").read_text()
    assert "001  A001_C002 V     C        00:00:00:00 00:00:03:01 " in text


def test_edl_and_otio_carry_the_source_timecode(tmp_path: Path) -> None:
    """A program in non-drop-frame stays so, though its rate has drop-frame."""
    for text, mode in (("01:00:00:00", "NON-DROP FRAME"), ("01:00:00;00", "DROP FRAME")):
        clock = result(rate=NTSC).clock.with_timecode(text)
        scenes = result(rate=NTSC, shots=(1800, 60), boundaries=(0,), clock=clock)
        exports.open_export("edl").write(scenes, tmp_path / "a.edl")
        lines = (tmp_path / "a.edl").read_text().splitlines()
        second = "01:01:00;02 01:01:02;02" if ";" in text else "01:01:00:00 01:01:02:00"
        assert lines[1] == f"FCM: {mode}"
        assert lines[6].endswith(f"{second} {second}")
        spans = read_shot_list(tmp_path / "a.edl", NTSC, text)
        assert [span.start * NTSC for span in spans] == [0, 1800]
        exports.open_export("otio").write(scenes, tmp_path / "a.otio")
        timeline = otio.adapters.read_from_file(str(tmp_path / "a.otio"))
        first = otio.opentime.from_timecode(text, float(NTSC))
        assert timeline.global_start_time == first
        (track,) = timeline.video_tracks()
        ranges = [clip.source_range for clip in track]
        assert [span.start_time.value - first.value for span in ranges] == [0, 1800]
        assert track[0].media_reference.available_range.start_time == first


def test_edl_passes_midnight(tmp_path: Path) -> None:
    clock = result(rate=Fraction(25)).clock.with_timecode("23:59:59:00")
    scenes = result(rate=Fraction(25), clock=clock)
    (note,) = exports.open_export("edl").write(scenes, tmp_path / "a.edl")
    assert "passes midnight" in note
    spans = read_shot_list(tmp_path / "a.edl", Fraction(25), "23:59:59:00")
    assert [(span.start * 25, span.end * 25) for span in spans] == [(0, 42), (42, 92), (92, 133)]


@pytest.mark.parametrize("rate", RATES)
def test_otio(rate: Fraction, tmp_path: Path) -> None:
    path, film, notes = written("otio", tmp_path, rate=rate, start=Fraction(3))
    timeline = otio.adapters.read_from_file(str(path))
    (track,) = timeline.video_tracks()
    spans = [clip.source_range for clip in track]
    assert [span.start_time.value for span in spans] == [0, 42, 92]
    assert [span.duration.value for span in spans] == [42, 50, 41]
    assert {span.duration.rate for span in spans} == {float(rate)}
    # Laid end to end they keep their places: the timeline is the film.
    assert [track.range_of_child(clip).start_time.value for clip in track] == [0, 42, 92]
    assert timeline.duration() == otio.opentime.RationalTime(133, float(rate))
    assert timeline.global_start_time.value == 0
    marks = [clip.markers[0] for clip in track]
    assert [mark.name for mark in marks] == ["Scene 1", "Scene 2", "Scene 3"]
    assert [mark.marked_range.start_time.value for mark in marks] == [0, 42, 92]
    assert timeline.name == HOSTILE
    assert timeline.metadata["vujax"]["rate"] == str(rate)
    known = dict(track[1].metadata["vujax"])
    assert {name: known[name] for name in known} == {
        name: film.scenes[1].to_row()[name] for name in known
    }
    assert {"begin_pts", "end_s", "shots", "score"} <= known.keys()
    assert len(notes) == (rate == ODD)


def test_otio_names_the_film(tmp_path: Path) -> None:
    path, film, _ = written("otio", tmp_path)
    (track,) = otio.adapters.read_from_file(str(path)).video_tracks()
    for clip in track:
        media = clip.media_reference
        assert otio.url_utils.filepath_from_url(media.target_url) == film.path
        assert media.available_range.duration.value == 133
        assert media.available_range.clamped(clip.source_range) == clip.source_range
        assert "\n" not in media.name


def test_otio_of_a_variable_rate(tmp_path: Path) -> None:
    """Frames are nominal and contiguous; the exact times are in the metadata."""
    scenes = result(rate=Fraction(30000, 1001), variable_rate=True)
    late = [replace(s, start_pts=s.start_pts + 700, end_pts=s.end_pts + 700) for s in scenes.scenes]
    late[0] = replace(late[0], start_pts=0)
    path = tmp_path / "scenes.otio"
    (note,) = exports.open_export("otio").write(replace(scenes, scenes=tuple(late)), path)
    assert note == "The film's frame rate varies: the OTIO timeline counts 29.97 frames/s."
    (track,) = otio.adapters.read_from_file(str(path)).video_tracks()
    spans = [clip.source_range for clip in track]
    assert all(span.start_time.value.is_integer() for span in spans)
    ends = [span.end_time_exclusive() for span in spans]
    assert ends[:-1] == [span.start_time for span in spans[1:]]
    assert [clip.metadata["vujax"]["begin_pts"] for clip in track] == [s.start_pts for s in late]


def test_otio_marks_the_breaks(tmp_path: Path) -> None:
    scenes = result()
    cues = (
        BreakCue(2, scenes.scenes[1].start_s, "", -71.5, True, False),
        BreakCue(3, scenes.scenes[2].start_s, "", None, True, True),
    )
    path = tmp_path / "scenes.otio"
    exports.open_export("otio").write(replace(scenes, cues=cues), path)
    marks = otio.adapters.read_from_file(str(path)).tracks.markers
    assert [mark.name for mark in marks] == ["Break: silent", "Break: silent, black"]
    assert [mark.marked_range.start_time.value for mark in marks] == [42, 92]
    assert [mark.color for mark in marks] == [otio.schema.MarkerColor.RED] * 2
    assert marks[0].metadata["vujax"]["level_db"] == -71.5


def test_json_holds_everything(tmp_path: Path) -> None:
    path, film, _ = written("json", tmp_path)
    found = json.loads(path.read_text())
    assert (found["schema"], found["film"]["fps"]) == (1, "24000/1001")
    assert found["film"]["title"] == HOSTILE
    assert found["made"]["threshold"] == 0.5
    second = found["scenes"][1]
    for name in ("begin_s", "end_pts", "begin_timecode", "last_frame", "score", "id"):
        assert second[name] == film.scenes[1].to_row()[name]
    assert found["borders"]["scores"] == [0.1, 0.9, 0.9]


def test_unknown_formats_are_named() -> None:
    assert exports.select(["csv", "vtt", "csv"]) == ("csv", "vtt")
    with pytest.raises(ValueError, match="unknown scene export 'pdf'; expected one of: csv, vtt"):
        exports.select(["pdf"])
    with pytest.raises(ValueError, match="split and split_exact have files of the same names"):
        exports.select(["split", "csv", "split_exact"])


@pytest.mark.long
def test_twenty_thousand_scenes(tmp_path: Path) -> None:
    """Every shot a scene of its own: files of some bytes a scene, read back whole."""
    shots = 20_000
    scenes = result(shots=(9,) * shots, boundaries=range(shots - 1))
    for name in ("csv", "vtt", "ffmetadata", "edl", "json"):
        path = exports.open_export(name).path(scenes, tmp_path, "scenes")
        exports.open_export(name).write(scenes, path)
        assert path.stat().st_size < 600 * shots
    assert len(read_shot_list(tmp_path / "scenes.csv", NTSC_FILM)) == shots
    assert len(read_shot_list(tmp_path / "scenes.edl", NTSC_FILM)) == shots
    assert len(json.loads((tmp_path / "scenes.json").read_text())["scenes"]) == shots
    assert max(map(len, (tmp_path / "scenes.edl").read_text().splitlines())) < 90
