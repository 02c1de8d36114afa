"""One-pass decoding: frames, candidates, timestamps, damage."""

import shutil
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.video.clips import (
    RATE,
    add_picture,
    flipped,
    half,
    joined,
    make,
    make_sound,
    number,
    numbered,
    tone,
    write_pictures,
)
from vujax.video.decode import (
    FramePacer,
    FrameReader,
    ReadStatus,
    compute_still_size,
    demux_packets,
)
from vujax.video.probe import FilmError


def read(path, **options):
    """The reader, all PTS, all small frames, all candidates."""
    reader = FrameReader(path, **options)
    chunks = list(reader)
    stills = [still for chunk in chunks for still in chunk.candidates]
    pts = np.concatenate([chunk.pts for chunk in chunks] or [np.zeros(0, np.int64)])
    small = np.concatenate([chunk.small for chunk in chunks] or [np.zeros((0, 27, 48, 3), "u1")])
    return reader, pts, small, stills


def numbers(images):
    return [number(image) for image in images]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_every_frame_once_in_the_order_shown(tmp_path, name):
    reader, pts, small, _ = read(make(tmp_path / name), chunk=20)
    assert small.shape == (48, 27, 48, 3) and small.dtype == np.uint8
    assert numbers(small) == list(range(48))
    assert [reader.video.clock.frame(int(p)) for p in pts] == list(range(48))
    assert reader.status.is_complete and reader.status.frames == 48
    assert reader.status.damaged == reader.status.repaired == 0


def test_chunks_have_their_own_candidates(tmp_path):
    chunks = list(FrameReader(make(tmp_path / "a.mp4"), chunk=20))
    assert [len(chunk.pts) for chunk in chunks] == [20, 20, 8]
    for chunk in chunks:
        assert {still.pts for still in chunk.candidates} <= set(chunk.pts.tolist())
        assert chunk.candidates


def test_candidates_are_the_frames_at_their_times(tmp_path):
    reader, pts, _, stills = read(make(tmp_path / "a.mp4", size=(480, 320)))
    assert all(still.image.shape == (224, 336, 3) for still in stills)
    for still in stills:
        assert number(still.image) == reader.video.clock.frame(still.pts)
    kept = np.array([float(reader.video.clock.seconds(still.pts)) for still in stills])
    times = np.array([float(reader.video.clock.seconds(int(p))) for p in pts])
    assert np.abs(times[:, None] - kept).min(axis=1).max() <= 0.25
    assert len(stills) == 5


def test_candidates_of_a_variable_rate(tmp_path):
    ticks = np.cumsum([0] + [20, 20, 20, 300] * 12)[:48].tolist()
    path = make(tmp_path / "a.mp4", pts=ticks, time_base=Fraction(1, 1000))
    reader, pts, small, stills = read(path)
    assert numbers(small) == list(range(48))
    assert [round(1000 * reader.video.clock.seconds(int(p))) for p in pts] == ticks
    assert np.diff([still.pts for still in stills]).max() * reader.video.clock.time_base <= 0.5
    assert reader.status.is_complete


def test_without_candidates(tmp_path):
    assert read(make(tmp_path / "a.mp4"), every_s=None)[3] == []


def test_pace_keeps_all_when_frames_are_rare():
    pace = FramePacer(10)
    times = [0, 4, 8, 12, 16, 40, 80, 82, 84]
    kept = [pts for pts, after in zip(times, [*times[1:], None], strict=True) if pace(pts, after)]
    assert kept == [0, 8, 16, 40, 80, 84]


@pytest.mark.parametrize(
    "shown, size",
    [
        ((1280, 720), (224, 398)),
        ((720, 1280), (398, 224)),
        ((160, 120), (120, 160)),  # not enlarged
        ((1, 1), (1, 1)),
        ((10000, 1), (1, 1792)),
        ((1 << 25, 2000), (224, 1792)),
    ],
)
def test_still_size(shown, size):
    assert compute_still_size(shown, 224) == size


def corner() -> np.ndarray:
    """Light only in the upper left quarter."""
    image = np.full((64, 96, 3), 30, np.uint8)
    image[:32, :48] = 220
    return image


@pytest.mark.parametrize(
    "rotation, where", [(0, (0, 0)), (90, (1, 0)), (180, (1, 1)), (270, (0, 1))]
)
def test_rotated_pictures_come_upright(tmp_path, rotation, where):
    path = make(tmp_path / "a.mp4", images=[corner()] * 4, rotation=rotation)
    _, _, small, stills = read(path)
    assert stills[0].image.shape[:2] == ((96, 64) if rotation % 180 else (64, 96))
    for image in (small[0], stills[0].image):
        rows, columns = np.array_split(image.mean(axis=2), 2), (0, 1)
        light = {
            (r, c): np.array_split(rows[r], 2, axis=1)[c].mean() for r in (0, 1) for c in columns
        }
        assert max(light, key=light.get) == where


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_mirrored_pictures_come_as_players_show_them(tmp_path, rotation):
    """All four mirrored orientations of a display matrix, against ffmpeg where it is installed."""
    image = numbered(0b10000000)
    image[:16, :, 0] = 255  # the left eighth is light, the upper quarter red
    path = make(tmp_path / "a.mp4", images=[image] * 2, rotation=rotation, hflip=True)
    reader, _, _, stills = read(path)
    assert (reader.video.rotation, reader.video.mirrored) == (rotation, True)
    shown = stills[0].image.astype(int)
    expected = np.rot90(image, rotation // 90)[:, ::-1].astype(int)
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).mean() < 12
    if shutil.which("ffmpeg"):
        command = ["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-pix_fmt", "rgb24"]
        raw = subprocess.run([*map(str, command), "-f", "rawvideo", "-"], capture_output=True)
        judge = np.frombuffer(raw.stdout, np.uint8).reshape(shown.shape).astype(int)
        assert np.abs(shown - judge).mean() < 12


def test_sample_aspect_makes_square_pixels(tmp_path):
    path = make(tmp_path / "a.mp4", size=(144, 96), sample_aspect=Fraction(4, 3))
    assert read(path)[3][0].image.shape == (96, 192, 3)


def test_start_offset_is_kept(tmp_path):
    reader, pts, _, _ = read(make(tmp_path / "a.mp4", pts=range(36, 84)))
    assert pts[0] * reader.video.clock.time_base == Fraction(3, 2)
    assert reader.status.is_complete


@pytest.mark.parametrize(
    "options",
    [
        dict(size=(97, 61), pixels="yuv444p"),
        dict(pixels="yuv420p10le"),
        dict(options={"x264-params": "tff=1"}),
        dict(pixels="yuv422p", size=(98, 62)),
    ],
    ids=["odd", "10 bits", "interlaced", "4:2:2"],
)
def test_other_pictures(tmp_path, options):
    reader, _, small, _ = read(make(tmp_path / "a.mp4", **options))
    assert numbers(small) == list(range(48)) and reader.status.is_complete


def test_colours_are_rgb(tmp_path):
    red = np.zeros((64, 96, 3), np.uint8)
    red[..., 0] = 200
    mean = read(make(tmp_path / "a.mp4", images=[red] * 2))[2].mean(axis=(0, 1, 2))
    np.testing.assert_allclose(mean, [200, 0, 0], atol=12)


def test_one_pixel(tmp_path):
    reader, _, small, stills = read(make(tmp_path / "a.mkv", 3, size=(1, 1), codec="ffv1"))
    assert len(small) == 3 and stills[0].image.shape == (1, 1, 3) and reader.status.is_complete


def test_one_frame(tmp_path):
    reader, _, small, stills = read(make(tmp_path / "a.mp4", 1))
    assert len(small) == len(stills) == 1 and reader.status.is_complete


def test_missing_timestamps_are_made_up(tmp_path):
    reader, pts, small, _ = read(make(tmp_path / "a.h264"))
    assert numbers(small) == list(range(48))
    assert (np.diff(pts) == reader.video.clock.frame_ticks).all()
    assert reader.status.repaired == 48 and reader.status.is_complete


def test_timestamps_that_go_backwards(tmp_path):
    late = make(tmp_path / "late.ts", pts=range(480, 528))
    path = joined(tmp_path / "a.ts", [late, make(tmp_path / "early.ts")])
    reader, pts, small, _ = read(path)
    assert numbers(small) == list(range(48)) * 2
    assert (np.diff(pts) == reader.video.clock.frame_ticks).all()
    assert reader.status.repaired == 48


@pytest.mark.parametrize("start_s", [0, 1000])
def test_a_film_cut_in_half(tmp_path, start_s):
    pts = range(start_s * RATE, start_s * RATE + 240)
    path = half(make(tmp_path / "a.mp4", 240, pts=pts, muxer={"movflags": "faststart"}))
    reader, _, small, _ = read(path)
    assert 40 < len(small) < 200
    assert numbers(small[:40]) == list(range(40))
    assert f"though its header says {start_s + 10}.00 s" in reader.status.reason


def test_damage_in_the_middle(tmp_path):
    path = make(tmp_path / "a.mkv", 240)
    data = bytearray(path.read_bytes())
    middle = slice(len(data) // 3, len(data) // 3 + 2000)
    data[middle] = np.random.default_rng(0).bytes(2000)
    path.write_bytes(data)
    reader, _, small, _ = read(path)
    assert 60 < len(small) < 240
    assert "frames are missing for" in reader.status.reason


def test_frames_that_show_damage_are_counted(tmp_path):
    path = make(tmp_path / "a.mp4", 240, gop=48)
    data = bytearray(path.read_bytes())
    for at in np.random.default_rng(0).integers(100, len(data) // 2, 8):
        data[at] ^= 0xFF
    path.write_bytes(data)
    reader, _, small, _ = read(path)
    assert len(small) > 200
    assert reader.status.damaged > 240 - len(small)  # more than those that are missing
    assert "damaged" in reader.status.reason


def test_no_keyframe(tmp_path):
    path, whole = tmp_path / "b.ts", make(tmp_path / "a.ts", 48, gop=48)
    with av.open(str(whole)) as old, av.open(str(path), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size and not packet.is_keyframe:
                packet.stream = copy
                new.mux(packet)
    try:
        reader, _, small, _ = read(path)
    except FilmError as error:
        assert "b.ts" in str(error)
    else:
        assert len(small) == 0 and not reader.status.is_complete


def test_the_larger_of_two_pictures_is_read(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        small, large = add_picture(container, size=(32, 32)), add_picture(container)
        write_pictures(container, small, [numbered(0, 32, 32)] * RATE)
        write_pictures(container, large, [numbered(i) for i in range(RATE)])
    assert numbers(read(path)[2]) == list(range(RATE))


def test_sound_only(tmp_path):
    path = make_sound(tmp_path / "a.mp4", [(0, tone(1, 48000))], 48000, "aac", None)
    with pytest.raises(FilmError, match=r"a\.mp4 has no video stream"):
        FrameReader(path)


def test_frames_are_made_when_they_are_asked_for(tmp_path):
    reader = FrameReader(make(tmp_path / "a.mp4", 240), chunk=8)
    next(iter(reader))
    assert reader.status.frames == 8


def test_stopping_early_is_said(tmp_path):
    reader = FrameReader(make(tmp_path / "a.mp4"), chunk=8)
    next(iter(reader))
    assert reader.status.reason == "it was not read to its end"
    assert (
        sum(len(chunk.pts) for chunk in reader) == 48 and reader.status.is_complete
    )  # again, and all


@pytest.mark.parametrize("error", [IndexError(), av.error.InvalidDataError(1, "bad data")])
def test_a_demuxer_that_fails_ends_the_stream(error):
    class Broken:
        def demux(self, stream):
            yield "packet"
            raise error

    ended = ReadStatus()
    assert list(demux_packets(Broken(), None, ended)) == [
        "packet",
        None,
    ]  # None: the decoder's rest
    assert ended.stopped == getattr(error, "strerror", "")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_flipped_bytes_never_crash(tmp_path, name):
    whole = make(tmp_path / name, 24).read_bytes()
    path = tmp_path / f"b{name}"
    for data in flipped(whole):
        path.write_bytes(data)
        try:
            reader, pts, _, _ = read(path)
        except FilmError as error:
            assert path.name in str(error)
        else:
            assert (np.diff(pts) > 0).all() and len(pts) == reader.status.frames <= 48
