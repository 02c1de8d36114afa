"""Copies with chapters: all packets of the film, and chapters at the starts of scenes."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.pipeline.ingest.films import colours, film, film_with_sound
from tests.scenes.results import result
from tests.video.clips import (
    add_picture,
    add_sound,
    joined,
    make,
    tone,
    write_pictures,
    write_sound,
)
from vujax.scenes.exports import open_export
from vujax.scenes.exports.chapters import write
from vujax.scenes.types import DetectedScenes
from vujax.video.probe import probe_film
from vujax.video.remux import select_suffix as suffix_of

LENGTHS = (30, 12, 50)


def scenes_of(path: Path) -> DetectedScenes:
    """Return one scene per shot of a film of LENGTHS at 24 frames/s."""
    clock = probe_film(path).video.clock
    made = result(shots=LENGTHS, boundaries=(0, 1), rate=Fraction(24), start=clock.start)
    return replace(made, path=str(path))


def packets(path: Path) -> list[tuple]:
    """Return stream, time since the first frame and bytes of every packet."""
    with av.open(str(path)) as file:
        kept = [s for s in file.streams if s.type in ("video", "audio", "subtitle")]
        found = [
            (p.stream.index, p.pts * p.time_base, bytes(p)) for p in file.demux(kept) if p.size
        ]
    start = min(time for index, time, _ in found if index == 0)
    return sorted((i, round(1000 * (time - start)), data) for i, time, data in found)


def chapters(path: Path) -> list[float]:
    """Return the starts of chapters in seconds since the first frame."""
    with av.open(str(path)) as file:
        first = float(probe_film(path).video.start_s)
        return [float(one["start"] * one["time_base"]) - first for one in file.chapters()]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_packets_stay_and_chapters_begin_with_scenes(name: str, tmp_path: Path) -> None:
    source = film(tmp_path / name, LENGTHS)
    copy = tmp_path / f"copy{suffix_of(str(source))}"
    assert write(scenes_of(source), copy) == []
    assert packets(copy) == packets(source)
    assert chapters(copy) == pytest.approx([0, 30 / 24, 42 / 24], abs=2e-3)
    with av.open(str(copy)) as file:
        assert [one["metadata"]["title"] for one in file.chapters()][1] == "Scene 2"


def test_chapters_that_were_there_are_replaced(tmp_path: Path) -> None:
    source = film_with_sound(tmp_path / "a.mov", LENGTHS, 2.0)
    scenes = scenes_of(source)
    for suffix in ("mov", "mkv", "mp4"):
        first, second = tmp_path / f"one.{suffix}", tmp_path / f"two.{suffix}"
        write(scenes, first)
        write(replace(scenes, path=str(first), scenes=scenes.scenes[:2]), second)
        assert len(chapters(first)) == 3
        assert chapters(second) == pytest.approx([0, 30 / 24], abs=2e-3)
        assert [row[0] for row in packets(second)] == [row[0] for row in packets(source)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_picture_stays_as_it_is_shown(name: str, tmp_path: Path) -> None:
    options = dict(rotation=90, sample_aspect=Fraction(4, 3), transfer=16)
    source = make(tmp_path / name, images=colours(LENGTHS), **options)
    copy = tmp_path / f"copy{source.suffix}"
    assert write(scenes_of(source), copy) == []
    before, after = (probe_film(path).video for path in (source, copy))
    assert (before.rotation, before.shown, before.hdr) == (90, (64, 128), True)
    assert (after.rotation, after.shown, after.hdr) == (90, (64, 128), True)
    assert (after.clock.rate, after.start_s) == (before.clock.rate, before.start_s)


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", ".mp4"), ("mpeg2video", ".mkv")])
def test_a_transport_stream_becomes_what_players_open(
    codec: str, suffix: str, tmp_path: Path
) -> None:
    source = make(tmp_path / "a.ts", images=colours(LENGTHS), codec=codec)
    copy = tmp_path / f"copy{suffix_of(str(source))}"
    assert copy.suffix == suffix  # browsers play H.264 in MP4
    write(scenes_of(source), copy)
    assert chapters(copy) == pytest.approx([0, 30 / 24, 42 / 24], abs=2e-3)
    assert len(packets(copy)) == sum(LENGTHS)


@pytest.mark.parametrize(
    ("name", "codec", "attachment", "copy"),
    [
        ("a.mkv", "libx264", False, "scenes.mp4"),
        ("a.mov", "libx264", False, "scenes.mp4"),
        ("a.mkv", "mpeg2video", False, "scenes.mkv"),
        ("a.mkv", "libx264", True, "scenes.mkv"),  # MP4 has no attachments
    ],
)
def test_a_copy_is_mp4_if_browsers_then_play_all_of_it(
    name: str, codec: str, attachment: bool, copy: str, tmp_path: Path
) -> None:
    source = tmp_path / name
    with av.open(str(source), "w") as container:
        video = add_picture(container, codec=codec)
        if attachment:
            container.add_attachment("a.txt", "text/plain", b"hello")
        write_pictures(container, video, colours(LENGTHS))
    path = open_export("chapters").path(scenes_of(source), tmp_path, "scenes")
    assert path.name == copy
    assert write(scenes_of(source), path) == []
    assert packets(path) == packets(source)


def test_sound_and_words_about_streams_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as container:
        video = add_picture(container)
        audio = add_sound(container, 16000, "flac")
        audio.metadata["language"] = "fin"
        container.metadata["title"] = "A film"
        container.add_attachment("a.txt", "text/plain", b"hello")
        write_pictures(container, video, colours(LENGTHS))
        write_sound(container, audio, tone(2, 16000), 16000)
        container.mux(audio.encode(None))
    copy = tmp_path / "copy.mkv"
    assert write(scenes_of(source), copy) == []
    assert packets(copy) == packets(source)
    with av.open(str(copy)) as file:
        assert file.metadata["title"] == "A film"
        assert file.streams.audio[0].metadata["language"] == "fin"
        assert [stream.type for stream in file.streams].count("attachment") == 1


def test_a_stream_that_the_container_cannot_take_is_never_lost(tmp_path: Path) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as container:
        video = add_picture(container, codec="libvpx")
        audio = add_sound(container, 16000, "flac")
        write_pictures(container, video, colours(LENGTHS))
        write_sound(container, audio, tone(2, 16000), 16000)
        container.mux(audio.encode(None))
    copy = tmp_path / "copy.mp4"
    with pytest.raises(ValueError, match=r"takes stream 0 \(video, vp8\); use the format"):
        write(scenes_of(source), copy)
    assert not copy.exists()
    other = tmp_path / "b.mp4"  # its own container does not hold what it holds
    source.rename(other)
    assert suffix_of(str(other)) == ".mkv"
    assert write(scenes_of(other), tmp_path / "copy.mkv") == []


def test_joined_films_are_copied_whole(tmp_path: Path) -> None:
    part = film_with_tone(tmp_path / "part.ts")
    source, copy = joined(tmp_path / "a.ts", [part, part]), tmp_path / "copy.mkv"
    assert write(scenes_of(source), copy) == []
    single = tmp_path / "single.mkv"  # in the form in which Matroska holds packets
    write(scenes_of(part), single)
    data = [(index, bytes_) for index, _, bytes_ in packets(single)]
    found = [(index, bytes_) for index, _, bytes_ in packets(copy)]
    assert len(data) == len(packets(part))
    assert sorted(found) == sorted(2 * data)
    ends = {i: max(time for index, time, _ in packets(copy) if index == i) for i in (0, 1)}
    assert abs(ends[0] - ends[1]) < 200  # ms: the sound stays with the picture
    assert 7600 < ends[0] < 7800


def film_with_tone(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        video, audio = add_picture(container), add_sound(container, 48000, "mp2")
        images = colours(LENGTHS)
        write_sound(container, audio, tone(len(images) / 24, 48000), 48000)
        write_pictures(container, video, images)
        container.mux(audio.encode(None))
    return path


def test_the_film_itself_is_never_replaced(tmp_path: Path) -> None:
    source = film(tmp_path / "scenes.mp4", LENGTHS)
    before = source.read_bytes()
    with pytest.raises(ValueError, match="would replace the film"):
        write(scenes_of(source), source)
    assert source.read_bytes() == before


def test_a_film_that_is_gone_leaves_nothing(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", LENGTHS)
    scenes = scenes_of(source)
    source.unlink()
    with pytest.raises(FileNotFoundError, match="does not exist"):
        write(scenes, tmp_path / "copy.mp4")
    assert list(tmp_path.iterdir()) == []
