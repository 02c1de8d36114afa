"""Files of scenes: cut at keyframes, every packet once, or re-encoded from exact frames."""

import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.scenes.results import result
from tests.scenes.test_chapters import film_with_tone, packets
from tests.video.clips import (
    add_picture,
    add_sound,
    make,
    number,
    numbered,
    write_pictures,
    write_sound,
)
from vujax.scenes import exports
from vujax.video.decode import FrameReader, ReadStatus
from vujax.video.probe import probe_film
from vujax.video.split import plan_cuts


def split(source: Path, shots: tuple[int, ...], timecode: str = "") -> tuple[list[Path], list[str]]:
    """Split a film of 24 frames/s into one file per shot."""
    clock = probe_film(source).video.clock
    clock = clock.with_timecode(timecode) if timecode else clock
    scenes = result(shots, range(len(shots) - 1), clock=clock, path=str(source))
    export = exports.open_export("split")
    first = export.path(scenes, source.parent, "film")
    notes = export.write(scenes, first)
    return sorted(source.parent.glob("film-Scene-*")), notes


def join(path: Path, sources: Sequence[Path]) -> None:
    """Copy the first stream of each file into one."""
    with av.open(str(path), "w") as file, ExitStack() as stack:
        inputs = [stack.enter_context(av.open(str(source))) for source in sources]
        streams = [file.add_stream_from_template(one.streams[0]) for one in inputs]
        for one, stream in zip(reversed(inputs), reversed(streams), strict=True):
            for packet in one.demux(0):
                if packet.size:
                    packet.stream = stream
                    file.mux(packet)


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
    assert notes == [
        "Scenes without a keyframe of their own, which have no file: 2; --split-exact starts files "
        "at any frame."
    ]


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_files_start_at_closed_groups_of_pictures(suffix: str, tmp_path: Path) -> None:
    """Pictures before a keyframe of an open GOP would be lost (mkvtoolnix, issue 1170)."""
    options = {"x264-params": "open-gop=1:bframes=3:keyint=12:b-adapt=0"}
    source = make(tmp_path / f"a.{suffix}", 60, options=options)
    parts, _ = split(source, (24, 13, 23))
    found = [number(image) for part in parts for image in frames(part)]
    assert found == list(range(60))


def test_pictures_before_the_first_keyframe_are_left_out(tmp_path: Path) -> None:
    """Recordings start anywhere (mkvtoolnix, issue 1814)."""
    whole = make(tmp_path / "whole.ts", 60, codec="mpeg2video", options={"bf": "0"})
    data = whole.read_bytes()
    source = tmp_path / "a.ts"
    source.write_bytes(data[len(data) // 188 // 10 * 188 :])
    parts, _ = split(source, (18, 6, 6))
    with av.open(str(parts[0])) as file:
        packets = [packet for packet in file.demux(video=0) if packet.size]
    assert packets[0].is_keyframe
    assert len(packets) == len(frames(parts[0]))


def test_subtitles_end_with_their_file(tmp_path: Path) -> None:
    """A subtitle that lasts longer would lengthen the file (mkvtoolnix, issue 1442)."""
    source = tmp_path / "a.mkv"
    texts = tmp_path / "a.srt"
    texts.write_text("1\n00:00:00,500 --> 00:00:01,800\nlong\n")
    film = make(tmp_path / "film.mkv", 48)
    join(source, [film, texts])
    parts, _ = split(source, (24, 24))
    with av.open(str(parts[0])) as file:
        assert file.duration / av.time_base == pytest.approx(1, abs=0.05)
        (packet,) = (packet for packet in file.demux(subtitles=0) if packet.size)
    assert float(packet.duration * packet.time_base) == pytest.approx(0.5, abs=0.01)


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


def split_exact(
    source: Path, shots: tuple[int, ...], timecode: str = ""
) -> tuple[list[Path], list[str]]:
    """Write one file per shot, re-encoded, for the frames that the film has."""
    video = probe_film(source).video
    clock = video.clock.with_timecode(timecode) if timecode else video.clock
    pts = [pts for _, pts in FrameReader(source).frames(ReadStatus())]
    scenes = result(shots, range(len(shots) - 1), clock=clock, path=str(source))
    firsts = [sum(shots[:i]) for i in range(len(shots))]
    moved = [
        replace(scene, start_pts=pts[first], start_s=float(clock.seconds(pts[first])))
        for scene, first in zip(scenes.scenes, firsts, strict=True)
    ]
    export = exports.open_export("split_exact")
    scenes = replace(scenes, scenes=tuple(moved))
    first = export.path(scenes, source.parent, "film")
    notes = export.write(scenes, first)
    return sorted(source.parent.glob("film-Scene-*")), notes


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    error = np.mean((first.astype(float) - second) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


EXACT = {
    "mp4": ("a.mp4", {}),
    "mkv": ("a.mkv", dict(rate=Fraction(24000, 1001))),
    "mov": ("a.mov", dict(pixels="yuv422p10le", codec="prores_ks")),
    "ts": ("a.ts", dict(codec="mpeg2video", size=(96, 64))),
    "rgb": ("a.mkv", dict(codec="ffv1", pixels="bgr0")),
    "odd": ("a.mkv", dict(codec="ffv1", size=(97, 63))),
    "turned": ("a.mp4", dict(rotation=90, sample_aspect=Fraction(4, 3), transfer=16)),
}


@pytest.mark.parametrize("kind", EXACT)
def test_exact_files_hold_every_picture_once(kind: str, tmp_path: Path) -> None:
    name, options = EXACT[kind]
    source = make(tmp_path / name, 40, **{"gop": 250} | options)
    parts, notes = split_exact(source, (15, 1, 24))
    assert [part.suffix for part in parts] == [".mp4" if kind == "ts" else source.suffix] * 3
    assert notes == []
    found = [frames(part) for part in parts]
    assert [len(images) for images in found] == [15, 1, 24]
    whole = frames(source)
    pairs = zip(whole, itertools.chain(*found), strict=True)
    assert min(psnr(first, second) for first, second in pairs) > 28
    assert [number(images[0]) for images in found] == [0, 15, 16]
    expected = probe_film(source).video
    for part in parts:
        video = probe_film(part).video
        assert video.codec == "h264"
        assert (video.coded, video.shown) == (expected.coded, expected.shown)
        assert (video.rotation, video.hdr) == (expected.rotation, expected.hdr)
        assert video.bits == expected.bits
        assert float(video.clock.seconds(round(video.start_s / video.clock.time_base))) == 0


def test_exact_files_keep_irregular_times(tmp_path: Path) -> None:
    pts = [0, 1, 2, 5, 6, 9, 10, 12, 13, 14, 20, 21]
    source = make(tmp_path / "a.mp4", 12, pts=pts)
    parts, _ = split_exact(source, (5, 7))
    with av.open(str(parts[1])) as file:
        found = [round(frame.time * 24) for frame in file.decode(video=0)]
    assert found == [time - 9 for time in pts[5:]]


def test_exact_files_cut_sound_to_the_sample(tmp_path: Path) -> None:
    rate, click = 48000, 300  # a click that many samples after each cut
    samples = np.zeros((rate * 2, 2), np.int16)
    cuts = [0, 14, 30]
    for cut in cuts:
        samples[round(cut * rate / 24) + click] = 20000
    with av.open(str(tmp_path / "a.mov"), "w") as file:
        video, audio = add_picture(file, gop=250), add_sound(file, rate, channels=2)
        audio.metadata["language"] = "fra"
        write_sound(file, audio, samples, rate)
        write_pictures(file, video, [numbered(i) for i in range(48)])
    parts, _ = split_exact(tmp_path / "a.mov", (14, 16, 18))
    for part in parts:
        with av.open(str(part)) as file:
            (stream,) = file.streams.audio
            sound = np.concatenate([f.to_ndarray()[0] for f in file.decode(stream)])
            assert stream.metadata["language"] == "fra"
        assert abs(int(np.abs(sound).argmax()) - click) <= 1


def test_exact_files_keep_the_channels(tmp_path: Path) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as file:
        video = add_picture(file)
        for layout in ("7.1", "mono"):
            file.add_stream("pcm_s16le", rate=48000, layout=layout)
        for audio in file.streams.audio:
            channels = audio.codec_context.layout.nb_channels
            levels = np.repeat(np.arange(1, channels + 1)[None] * 2000, 48000, axis=0)
            packed = levels.astype(np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, "s16", audio.codec_context.layout.name)
            frame.sample_rate, frame.time_base, frame.pts = 48000, Fraction(1, 48000), 0
            file.mux(audio.encode(frame))
        write_pictures(file, video, [numbered(i) for i in range(24)])
    parts, _ = split_exact(source, (12, 12))
    for part in parts:
        with av.open(str(part)) as file:
            layouts = [audio.codec_context.layout.name for audio in file.streams.audio]
            assert layouts == ["7.1", "mono"]
            packing = av.AudioResampler("flt")  # PyAV reads no more than 7 planes
            packed = [packing.resample(frame)[0].to_ndarray() for frame in file.decode(audio=0)]
        sound = np.concatenate(packed, axis=1).reshape(-1, 8)
        middle = sound[8000:16000].mean(axis=0) * 32768 / 2000
        # The fourth is for low frequencies.
        assert np.delete(middle, 3) == pytest.approx([1, 2, 3, 5, 6, 7, 8], rel=0.05)


@pytest.mark.parametrize("divide", [split, split_exact])
def test_files_have_their_own_timecode(divide: Callable, tmp_path: Path) -> None:
    source = make(tmp_path / "a.mov", 48, metadata={"timecode": "01:00:00:00"})
    parts, notes = divide(source, (12, 36), "01:00:00:00")
    assert [probe_film(part).video.timecode for part in parts] == ["01:00:00:00", "01:00:00:12"]
    assert notes == []


def test_streams_and_hdr_metadata_that_are_left_out_are_named(tmp_path: Path) -> None:
    if "libx265" not in av.codecs_available:
        pytest.skip("this PyAV cannot encode libx265")
    master = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    options = {"x265-params": f"log-level=none:pools=1:master-display={master}:hdr10=1"}
    kind = dict(codec="libx265", pixels="yuv420p10le", transfer=16, options=options)
    film = make(tmp_path / "film.mkv", 12, **kind)
    (tmp_path / "a.srt").write_text("1\n00:00:00,100 --> 00:00:00,200\ntext\n")
    source = tmp_path / "a.mkv"
    join(source, [film, tmp_path / "a.srt"])
    parts, notes = split_exact(source, (6, 6))
    assert notes == [
        "Stream 1 (subtitle, srt) is not in the files of scenes.",
        "Files of scenes have the film's HDR colors, but not its HDR metadata (mastering display, "
        "light levels or Dolby Vision).",
    ]
    assert [probe_film(part).video.hdr for part in parts] == [True, True]


def test_transparent_pictures_are_refused(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mkv", 6, codec="ffv1", pixels="yuva420p")
    with pytest.raises(ValueError, match=r"H\.264 has no transparent pictures; use --split"):
        split_exact(source, (3, 3))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_a_pyav_without_the_encoder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "a.mkv", 6)
    monkeypatch.setattr(av, "codecs_available", {"h264"})
    with pytest.raises(ValueError, match=r"this PyAV cannot encode H\.264"):
        split_exact(source, (3, 3))
