"""Frames at given times against a full decode, and the keyframe reader."""

from fractions import Fraction

import numpy as np
import pytest

from tests.video.clips import RATE, half, joined, make, number
from vujax.video.decode import FrameReader
from vujax.video.seek import KeyframeReader, StillReader

OPEN_GOP = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:b-pyramid=normal"}


def pts_of(path):
    return np.concatenate([chunk.pts for chunk in FrameReader(path, every_s=None)]).tolist()


def read(path, pts, **options):
    reader = StillReader(path, pts, **options)
    return reader, dict(reader)


@pytest.mark.parametrize("options", [{}, dict(options=OPEN_GOP)], ids=["closed", "open"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_every_frame_alone_and_together(tmp_path, name, options):
    path = make(tmp_path / name, 60, **options)
    pts = pts_of(path)
    reader, stills = read(path, pts)
    assert [number(stills[p].image) for p in pts] == list(range(60))
    assert [still.pts for still in stills.values()] == pts and reader.status.is_complete
    for i in range(0, 60, 7):
        assert number(read(path, [pts[i]])[1][pts[i]].image) == i


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_random_picks(tmp_path, name):
    path = make(tmp_path / name, 200)
    pts, rng = pts_of(path), np.random.default_rng(0)
    for count in (2, 3, 5, 20):
        picked = sorted(rng.choice(200, count, replace=False).tolist())
        stills = read(path, [pts[i] for i in picked])[1]
        assert [number(still.image) for still in stills.values()] == picked


def test_one_seek_for_each_gop(tmp_path):
    path = make(tmp_path / "a.mp4", 240, gop=24)
    pts = pts_of(path)
    wanted = [30, 31, 40, 100, 110, 200]
    reader, stills = read(path, [pts[i] for i in reversed(wanted)])
    assert [number(still.image) for still in stills.values()] == wanted
    assert reader.seeks == 3
    assert reader.decoded < 70  # of 240: from each keyframe to the last one wanted


def test_keyframes_are_their_own_beginning(tmp_path):
    path = make(tmp_path / "a.mp4", 240, gop=24)
    pts = pts_of(path)
    reader, stills = read(path, pts[::24])
    assert [number(still.image) for still in stills.values()] == list(range(0, 240, 24))
    assert reader.seeks <= 10 and reader.decoded < 60


def test_long_gops_are_not_decoded_twice(tmp_path):
    path = make(tmp_path / "a.ts", 240, gop=240)
    pts = pts_of(path)
    reader, _ = read(path, pts[::40])
    assert reader.status.frames == 6
    assert reader.decoded < 2 * 240


def test_between_frames_it_is_the_one_on_screen(tmp_path):
    path = make(tmp_path / "a.mp4", pts=[100 * i for i in range(48)], time_base=Fraction(1, 1000))
    pts = pts_of(path)
    step = pts[1] - pts[0]
    stills = read(path, [pts[10] + 1, pts[20] + step - 1])[1].values()
    assert [number(still.image) for still in stills] == [10, 20]
    assert [still.pts for still in stills] == [pts[10], pts[20]]


def test_before_the_first_and_after_the_last(tmp_path):
    path = make(tmp_path / "a.mp4", pts=range(36, 84))
    pts = pts_of(path)
    stills = read(path, [0, pts[-1] + 10 * (pts[1] - pts[0])])[1].values()
    assert [number(still.image) for still in stills] == [0, 47]


def test_files_with_repaired_times_are_read_from_their_beginning(tmp_path):
    late = make(tmp_path / "late.ts", pts=range(480, 528))
    path = joined(tmp_path / "a.ts", [late, make(tmp_path / "early.ts", 48)])
    pts = pts_of(path)
    stills = read(path, [pts[5], pts[60]], seek=False)[1].values()
    assert [number(still.image) for still in stills] == [5, 12]


def test_raw_video_without_timestamps(tmp_path):
    path = make(tmp_path / "a.h264")
    pts = pts_of(path)
    assert number(read(path, [pts[30]], seek=False)[1][pts[30]].image) == 30


def test_a_film_cut_short(tmp_path):
    whole = make(tmp_path / "a.mp4", 240, muxer={"movflags": "faststart"})
    pts = pts_of(whole)
    path = half(whole)
    reader, stills = read(path, [pts[10], pts[230]])
    assert number(stills[pts[10]].image) == 10
    assert pts[230] not in stills or stills[pts[230]].pts < pts[120]
    assert reader.status.frames == len(stills)


def test_nothing_wanted(tmp_path):
    reader, stills = read(make(tmp_path / "a.mp4"), [])
    assert stills == {} and reader.status.is_complete and reader.seeks == 0


def test_preview_is_the_keyframes(tmp_path):
    path = make(tmp_path / "a.mp4", 240, gop=24, rotation=90)
    reader = KeyframeReader(path)
    stills = list(reader)
    assert [reader.video.clock.frame(still.pts) for still in stills] == list(range(0, 240, 24))
    assert stills[0].image.shape == (96, 64, 3) and reader.status.is_complete
    sparse = [still.pts for still in KeyframeReader(path, every_s=2.5)]
    assert sparse == [still.pts for still in stills[::3]]


def test_preview_of_what_cannot_be_decoded(tmp_path, monkeypatch):
    reader = KeyframeReader(make(tmp_path / "a.mp4"))
    monkeypatch.setattr("vujax.video.seek.decode_frames", lambda *_: iter(()))
    assert list(reader) == [] and reader.status.reason


def test_preview_shows_the_right_pictures(tmp_path):
    stills = list(KeyframeReader(make(tmp_path / "a.ts", 5 * RATE, options=OPEN_GOP)))
    assert [number(still.image) for still in stills] == list(range(0, 120, 12))
