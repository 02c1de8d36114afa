"""Headers of films: streams, clocks, irregularities, refusals."""

import io
import os
import shutil
import subprocess
from fractions import Fraction

import av
import pytest
from PIL import Image

from tests.video.clips import (
    RATE,
    add_picture,
    half,
    make,
    make_sound,
    numbered,
    tone,
    write_pictures,
)
from tools import check_copies
from vujax.scenes.exports import open_export
from vujax.video.probe import FilmError, probe_film


def test_a_plain_film(tmp_path):
    film = probe_film(make(tmp_path / "a.mp4"))
    picture = film.video
    assert film.streams == ("video",) and film.audio is None
    assert (picture.codec, picture.coded, picture.shown) == ("h264", (96, 64), (96, 64))
    assert (picture.clock.rate, picture.clock.start) == (RATE, 0)
    assert (picture.duration_s, film.duration_s) == (2, 2)
    assert (picture.bits, picture.rotation, picture.sample_aspect) == (8, 0, 1)
    assert not (picture.variable_rate or picture.interlaced or picture.hdr)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts"])
def test_rounded_timestamps_are_no_variable_rate(tmp_path, name):
    assert not probe_film(make(tmp_path / name)).video.variable_rate


def test_start_offset(tmp_path):
    clock = probe_film(make(tmp_path / "a.mp4", pts=range(36, 84))).video.clock
    assert clock.start == Fraction(3, 2)
    assert clock.seconds(round(Fraction(3, 2) / clock.time_base)) == 0


def test_the_start_is_that_of_the_first_stream(tmp_path):
    film = probe_film(make_sound(tmp_path / "a.mkv", [(0.25, tone(1, 16000))], picture_s=0.5))
    assert (film.video.start_s, film.audio.start_s) == (Fraction(1, 2), Fraction(1, 4))
    assert film.video.clock.start == film.audio.clock.start == Fraction(1, 4)
    assert film.video.declared_end_s == Fraction(3, 2)  # Matroska's tag, not the file's length


@pytest.mark.parametrize("rotation, shown", [(90, (64, 96)), (180, (96, 64)), (270, (64, 96))])
def test_rotation(tmp_path, rotation, shown):
    picture = probe_film(make(tmp_path / "a.mp4", rotation=rotation)).video
    assert (picture.rotation, picture.shown) == (rotation, shown)


def test_sample_aspect(tmp_path):
    picture = probe_film(make(tmp_path / "a.mp4", sample_aspect=Fraction(4, 3))).video
    assert (picture.coded, picture.shown) == ((96, 64), (128, 64))


def test_odd_sizes(tmp_path):
    picture = probe_film(make(tmp_path / "a.mp4", size=(97, 61), pixels="yuv444p")).video
    assert picture.shown == (97, 61)


def test_variable_rate(tmp_path):
    ticks = [40 * i + (10 if i % 8 == 0 else 0) for i in range(48)]
    film = probe_film(make(tmp_path / "a.mp4", pts=ticks, time_base=Fraction(1, 1000)))
    assert film.video.variable_rate


def test_a_rate_that_changes_after_the_sample(tmp_path):
    ticks = [40 * i if i < 320 else 40 * 320 + 80 * (i - 320) for i in range(480)]
    film = probe_film(make(tmp_path / "a.mp4", 480, pts=ticks, time_base=Fraction(1, 1000)))
    assert film.video.variable_rate


def test_interlaced_hdr_and_ten_bits(tmp_path):
    fields = probe_film(make(tmp_path / "a.mp4", options={"x264-params": "tff=1"})).video
    assert fields.interlaced and not fields.hdr
    deep = probe_film(make(tmp_path / "b.mp4", pixels="yuv420p10le", transfer=16)).video
    assert deep.hdr and deep.bits == 10 and not deep.interlaced


def test_the_larger_of_two_pictures(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        small, large = add_picture(container, size=(32, 32)), add_picture(container, size=(96, 64))
        write_pictures(container, small, [numbered(i, 32, 32) for i in range(4)])
        write_pictures(container, large, [numbered(i) for i in range(4)])
    film = probe_film(path)
    assert film.streams == ("video", "video") and film.video.coded == (96, 64)


def test_a_cover_is_no_film(tmp_path):
    cover = io.BytesIO()
    Image.fromarray(numbered(0, 300, 300)).save(cover, "JPEG")
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video = add_picture(container)
        container.add_attachment("cover.jpg", "image/jpeg", cover.getvalue())
        write_pictures(container, video, [numbered(i) for i in range(4)])
    film = probe_film(path)
    assert film.streams == ("video", "video") and film.video.coded == (96, 64)


def test_sound_only(tmp_path):
    film = probe_film(make_sound(tmp_path / "a.mp4", [(0, tone(1, 48000, 2))], 48000, "aac", None))
    assert film.video is None
    assert (film.audio.codec, film.audio.rate, film.audio.channels) == ("aac", 48000, 2)


def test_one_pixel(tmp_path):
    assert probe_film(make(tmp_path / "a.mkv", size=(1, 1), codec="ffv1")).video.shown == (1, 1)


def test_files_that_are_no_films(tmp_path):
    text, empty = tmp_path / "text.mp4", tmp_path / "empty.mp4"
    text.write_text("To be, or not to be, that is the question.\n" * 99)
    empty.touch()
    with pytest.raises(FilmError, match=r"empty\.mp4 is empty"):
        probe_film(empty)
    with pytest.raises(FilmError, match=r"text\.mp4 cannot be read as a film"):
        probe_film(text)
    with pytest.raises(FilmError, match="is not a regular file"):
        probe_film(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.mp4 does not exist"):
        probe_film(tmp_path / "none.mp4")
    with pytest.raises(FilmError, match="cut short"):  # the index of an mp4 is at its end
        probe_film(half(make(tmp_path / "a.mp4")))


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = make(tmp_path / "a.mp4")
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root
    with pytest.raises(PermissionError, match=r"a\.mp4 is not readable"):
        probe_film(path)


def test_a_header_that_lies_about_eight_gigabytes(tmp_path):
    path = make(tmp_path / "a.mp4", muxer={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat")
    data[at - 4 : at] = b"\xff\xff\xff\xf0"
    path.write_bytes(data)
    assert probe_film(path).video.coded == (96, 64)


def test_a_picture_that_is_too_large_is_refused(tmp_path, monkeypatch):
    path = make(tmp_path / "a.mkv", 2, size=(320, 240), codec="ffv1")
    monkeypatch.setattr("vujax.video.probe.MAX_PIXELS", 320 * 239)
    with pytest.raises(FilmError, match="over 76480 px"):
        probe_film(path)


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(FilmError, match="is not a regular file"):
        probe_film(tmp_path / "a.mp4")


def test_playlists_are_not_followed(tmp_path):
    make(tmp_path / "a.ts")
    (tmp_path / "hls.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile a.ts\n")
    for name in ("hls.mp4", "list.mp4"):
        with pytest.raises(FilmError, match=name):
            probe_film(tmp_path / name)


@pytest.mark.parametrize("name", ['it\'s "so"\nnew.mp4', "%03d.mp4", "concat:a|b.mp4", "é ü.mp4"])
def test_names_are_only_names(tmp_path, monkeypatch, name):
    path = make(tmp_path / "a.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for form in (path, name):
        assert probe_film(form).video.coded == (96, 64)


def test_a_message_is_one_line_whatever_the_name(tmp_path):
    path = tmp_path / "two\nlines.mp4"
    path.touch()
    with pytest.raises(FilmError) as caught:
        probe_film(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.mov", "a.mp4", "a.mxf", "a.mkv"])
def test_the_source_timecode_is_read(tmp_path, name):
    codec = {"a.mxf": dict(codec="mpeg2video", options=None)}.get(name, {})
    path = make(tmp_path / name, metadata={"timecode": "01:00:00:00"}, **codec)
    video = probe_film(path).video
    assert video.timecode == "01:00:00:00"
    assert probe_film(make(tmp_path / "plain.mov")).video.timecode == ""


def test_a_timecode_that_does_not_exist_at_the_rate_is_not_read(tmp_path):
    for text in ("01:00:00;00", "01:00:00:24", "later"):
        assert (
            probe_film(make(tmp_path / "a.mkv", metadata={"timecode": text})).video.timecode == ""
        )


def test_the_nominal_rate_of_a_film_without_repeated_frames(tmp_path):
    pts = [frame for frame in range(72) if frame % 3 != 1]
    video = probe_film(make(tmp_path / "a.mkv", pts=pts)).video
    assert (video.clock.rate, video.variable_rate) == (24, True)


def test_frames_count_from_the_first_picture(tmp_path):
    film = probe_film(make_sound(tmp_path / "a.mkv", [(0.25, tone(1, 16000))], picture_s=0.5))
    clock = film.video.clock
    assert (clock.first_s, clock.frame(500)) == (Fraction(1, 2), 0)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
@pytest.mark.parametrize(
    ("rate", "label", "drop", "expected"),
    [
        (25, "10:00:00:12", False, "10:00:00:24"),
        (25, "00:00:00:12", False, "00:00:00:24"),
        (Fraction(30000, 1001), "01:02:03:29", False, "01:02:03:58"),
        (Fraction(30000, 1001), "01:00:00:29", True, "01:00:04;34"),
        (30, "23:59:59:29", False, "23:59:59:58"),
    ],
)
def test_a_timecode_track_may_count_every_second_frame(tmp_path, rate, label, drop, expected):
    """Cameras of 50 and 60 frames/s often write timecode of 25 and 30."""
    fast = make(tmp_path / "fast.mov", 8, rate=2 * rate, time_base=1 / Fraction(2 * rate))
    slow = make(tmp_path / "slow.mov", 4, rate=rate, metadata={"timecode": label})
    path = tmp_path / "a.mov"
    command = ["ffmpeg", "-v", "error", "-i", fast, "-i", slow]
    subprocess.run([*command, "-map", "0:v", "-map", "1:d", "-c", "copy", path], check=True)
    data = bytearray(path.read_bytes())
    flags = data.index(b"tmcd" + bytes(7) + b"\1") + 19  # of the track's description
    assert data[flags + 9] == round(rate)
    data[flags] |= drop
    path.write_bytes(data)
    video = probe_film(path).video
    assert (video.clock.rate, video.timecode) == (2 * rate, expected)
    copy = tmp_path / "copy.mov"
    open_export("chapters").write(check_copies.scenes_of(path), copy)
    assert probe_film(copy).video.timecode == expected
