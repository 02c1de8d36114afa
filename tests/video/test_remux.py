"""Copies of streams: parameters of the file stay, and no stream is lost."""

import shutil
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.pipeline.ingest.films import colours
from tests.video.clips import add_picture, make, write_pictures
from tools import check_copies
from vujax.video.probe import open_container, probe_film
from vujax.video.remux import MUXERS, copy_film, find_settings, select_suffix

LENGTHS = (10, 14)
ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


def copied(source: Path, start_s: Fraction | None = None) -> Path:
    """Copy a film into the container of `select_suffix`, without a loss."""
    target = source.with_name(f"copy{select_suffix(source)}")
    start_s = probe_film(source).video.clock.start if start_s is None else start_s
    with open_container(source) as film:
        settings = find_settings(film, MUXERS[target.suffix])
        assert settings is not None and settings.left_out == ()
        assert copy_film(film, target, settings, start_s=start_s) == 0
    return target


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mxf", "dnxhd", dict(size=(1280, 720), pixels="yuv422p", options={"b": "60M"})),
        ("a.mov", "prores_ks", dict(pixels="yuv422p10le")),
        ("a.flv", "flv", {}),
        ("a.mp4", "libsvtav1", dict(options={"preset": "12"})),
    ],
)
def test_no_picture_is_lost(tmp_path: Path, name: str, codec: str, options: dict) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV cannot encode {codec}")
    size = options.get("size", (96, 64))
    source = make(tmp_path / name, images=colours((4,), size), codec=codec, **options)
    with av.open(str(source)) as film, av.open(str(copied(source))) as copy:
        kinds = [
            [(s.codec_context.codec.canonical_name, s.width, s.height) for s in file.streams.video]
            for file in (film, copy)
        ]
        assert kinds[0] == kinds[1]
        assert sum(1 for _ in copy.decode(video=0)) == 4


def test_the_tag_that_apple_asks_for_stays(tmp_path: Path) -> None:
    if "libx265" not in av.codecs_available:
        pytest.skip("this PyAV cannot encode libx265")
    source = tmp_path / "a.mp4"
    with av.open(str(source), "w") as container:
        video = add_picture(
            container, codec="libx265", options={"x265-params": "log-level=none:pools=1"}
        )
        video.codec_context.codec_tag = "hvc1"
        write_pictures(container, video, colours(LENGTHS))
    for path in (source, copied(source)):
        with av.open(str(path)) as file:
            assert file.streams.video[0].codec_context.codec_tag == "hvc1"


@ffmpeg
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_the_aspect_that_the_container_sets_stays(tmp_path: Path, suffix: str) -> None:
    plain, source = make(tmp_path / "plain.mp4"), tmp_path / f"a.{suffix}"
    assert check_copies.ffmpeg(["-i", plain, "-c", "copy", "-aspect", "4:3", source])
    copy = copied(source)
    assert copy.suffix == (".mov" if suffix == "mkv" else f".{suffix}")  # see _loses_aspect
    for path in (source, copy):
        assert probe_film(path).video.sample_aspect == Fraction(8, 9)


def test_an_hour_of_offset_goes(tmp_path: Path) -> None:
    source = make(tmp_path / "a.ts", images=colours(LENGTHS), pts=range(86400, 86424))
    assert probe_film(source).video.start_s >= 3600
    with av.open(str(copied(source))) as copy:
        assert next(copy.decode(video=0)).time < 0.05
        assert copy.duration < 1_200_000


def test_timecode_and_its_track_stay(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mov", images=colours(LENGTHS), metadata={"timecode": "01:00:00:00"})
    copy = copied(source)
    assert probe_film(copy).video.timecode == "01:00:00:00"
    assert probe_film(copy).streams == probe_film(source).streams == ("video", "data")


def test_pictures_without_times_are_refused(tmp_path: Path) -> None:
    source = make(tmp_path / "a.avi", images=colours(LENGTHS))
    with pytest.raises(ValueError, match="stored out of order"):
        copied(source)


@ffmpeg
@pytest.mark.parametrize(
    ("codec", "container"),
    [("h264", "ts"), ("mpeg2", "mxf"), ("mpeg4", "mp4"), ("dv", "avi"), ("vp9", "webm")],
)
def test_copies_are_those_of_ffmpeg(tmp_path: Path, codec: str, container: str) -> None:
    source = check_copies.make_film(tmp_path, codec, container)
    if source is None:
        pytest.skip("this ffmpeg cannot make the film")
    verdict, differences = check_copies.compare(source, tmp_path)
    assert (verdict.split()[0], differences) == ("equal", [])
