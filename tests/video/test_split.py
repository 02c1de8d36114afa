"""Files of scenes: cut at keyframes, every packet once, from zero."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.scenes.results import result
from tests.scenes.test_chapters import film_with_tone, packets
from tests.video.clips import make, number
from vujax.scenes import exports
from vujax.video.probe import probe_film
from vujax.video.split import plan_cuts


def split(source: Path, shots: tuple[int, ...]) -> tuple[list[Path], list[str]]:
    """Split a film of 24 frames/s into one file per shot."""
    clock = probe_film(source).video.clock
    scenes = result(shots, range(len(shots) - 1), clock=clock, path=str(source))
    export = exports.open_export("split")
    first = export.path(scenes, source.parent, "film")
    notes = export.write(scenes, first)
    return sorted(source.parent.glob("film-Scene-*")), notes


def test_files_start_at_keyframes(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", 60)  # keyframes at each twelfth frame
    parts, notes = split(source, (24, 13, 23))
    assert [part.name for part in parts] == [f"film-Scene-00{i}.mp4" for i in (1, 2, 3)]
    assert notes == ["Files of scenes start at keyframes, up to 0.04 s from the scenes."]
    found = []
    for part in parts:
        with av.open(str(part)) as file:
            frames = list(file.decode(video=0))
            assert frames[0].time < 0.1
            found.append([number(frame.to_ndarray(format="rgb24")) for frame in frames])
    assert [numbers[0] for numbers in found] == [0, 24, 36]
    assert list(itertools.chain(*found)) == list(range(60))
    assert not list(tmp_path.glob(".split-*"))


def test_no_packet_is_lost(tmp_path: Path) -> None:
    source = film_with_tone(tmp_path / "a.mkv")
    parts, _ = split(source, (24, 24, 44))
    data = [(index, bytes_) for index, _, bytes_ in packets(source)]
    found = [(index, bytes_) for part in parts for index, _, bytes_ in packets(part)]
    assert sorted(found) == sorted(data)
    lengths = [float(av.open(str(part)).duration / av.time_base) for part in parts]
    assert lengths == pytest.approx([1, 1, 44 / 24], abs=0.1)


def test_scenes_without_a_keyframe_have_no_file(tmp_path: Path) -> None:
    parts, notes = split(make(tmp_path / "a.mp4", 30, gop=250), (10, 10, 10))
    assert len(parts) == 1
    assert notes == ["Scenes without a keyframe of their own, which have no file: 2."]


def test_files_of_a_run_with_more_scenes_are_named_and_stay(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", 60)
    split(source, (12,) * 5)
    other = tmp_path / "film-Scene-3.txt"
    other.write_bytes(b"")
    _, notes = split(source, (24, 36))
    assert notes == [
        "Files of scenes that are not of this run: film-Scene-003.mp4, film-Scene-004.mp4, "
        "film-Scene-005.mp4; delete those not wanted."
    ]
    assert len(list(tmp_path.glob("film-Scene-*"))) == 6


def test_cuts_take_the_nearest_free_keyframe(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", 60)
    wanted = [Fraction(frame, 24) for frame in (1, 2, 40)]
    cuts = plan_cuts(source, 0, Fraction(0), wanted)
    assert [round(cut.keyframe_s * 24) for cut in cuts] == [12, 24, 36]
