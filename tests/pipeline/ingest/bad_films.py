"""One folder with every kind of bad film."""

import os
import struct
from pathlib import Path

import av

from tests.pipeline.ingest.films import colours, film, film_with_sound
from tests.video.clips import (
    add_picture,
    half,
    joined,
    make,
    make_sound,
    numbered,
    tone,
    write_pictures,
)

QUOTED = 'it\'s "so"\nnew.mp4'
FRONT = {"movflags": "faststart"}  # the index of an MP4 before its pictures
GIB = 1 << 30


def bad_films(folder: Path, spare: Path) -> None:
    """Fills `folder`; what is needed on the way goes to `spare`."""
    folder.mkdir()
    spare.mkdir()
    _no_films(folder)
    _shorter_than_they_say(folder, spare)
    _liars(folder)
    _odd(folder, spare)
    _alike(folder)
    _forbidden(folder)


def _no_films(folder: Path) -> None:
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("To be, or not to be, that is the question.\n" * 99)
    make_sound(folder / "sound.mkv", [(0, tone(1, 16000))], picture_s=None)
    os.mkfifo(folder / "pipe.mp4")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "nothing.mkv").write_bytes(b"")
    os.truncate(folder / "nothing.mkv", 8 * GIB)  # takes no room on the disk


def _shorter_than_they_say(folder: Path, spare: Path) -> None:
    make(spare / "cut.mp4", images=colours((40, 40, 60)), muxer=FRONT)
    half(spare / "cut.mp4").rename(folder / "half.mp4")
    half(film(spare / "cut.mkv", (40, 40, 60))).rename(folder / "half.mkv")
    for name in ("zero.mkv", "zero.mp4"):
        with av.open(str(folder / name), "w") as container:
            add_picture(container)
            container.start_encoding()
    for name in ("unkeyed.mkv", "unkeyed.mp4", "unkeyed.ts"):
        _drop(film(spare / name, (30, 30)), folder / name, keys=5)
    make(spare / "headless.mkv", images=colours((60, 40)), gop=48)
    _drop(spare / "headless.mkv", folder / "headless.mkv", keys=1)


def _drop(whole: Path, path: Path, keys: int) -> None:
    """A film without its first keyframes."""
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            keys -= packet.is_keyframe
            if packet.dts is not None and not (packet.is_keyframe and keys >= 0):
                packet.stream = copy
                target.mux(packet)


def _liars(folder: Path) -> None:
    path = make(folder / "lie.mp4", images=colours((30, 30)), muxer=FRONT)
    _patch(path, b"mdat", -4, struct.pack(">I", 0xFFFFFFF0))
    path = film(folder / "lie64.mp4")  # over the box that leaves room for such a size
    _patch(path, b"free", -4, struct.pack(">I4sQ", 1, b"mdat", 8 * GIB))
    path = make(folder / "samples.mp4", images=colours((30, 30)), muxer=FRONT)
    _patch(path, b"stsz", 12, struct.pack(">I", 0x7FFFFFFF))
    path = make(folder / "timeless.mp4", images=colours((30, 30)), options={"bf": "0"})
    for box, at in ((b"mvhd", 16), (b"tkhd", 24), (b"mdhd", 20), (b"stts", 16)):
        _patch(path, box, at, bytes(4))
    path = film_with_sound(folder / "ages.avi", (20, 28), 2)
    _patch(path, b"vids", 20, struct.pack("<II", 929737387, 7))  # seconds in so many frames


def _patch(path: Path, box: bytes, at: int, data: bytes) -> None:
    """Overwrites bytes at a distance from the name of a box."""
    whole = bytearray(path.read_bytes())
    place = whole.index(box) + at
    whole[place : place + len(data)] = data
    path.write_bytes(whole)


def _odd(folder: Path, spare: Path) -> None:
    late = make(spare / "late.ts", images=colours((40,)), pts=range(480, 520))
    joined(folder / "backwards.ts", [late, film(spare / "early.ts", (40,))])
    with av.open(str(folder / "two.mkv"), "w") as container:
        small, large = add_picture(container, size=(32, 32)), add_picture(container)
        write_pictures(container, small, [numbered(0, 32, 32)] * 24)
        write_pictures(container, large, colours((30, 30)))
    make(folder / "pixel.mkv", 9, size=(1, 1), codec="ffv1")
    make(folder / "frame.mp4", 1)


def _alike(folder: Path) -> None:
    for name in ("film.mp4", "film.mkv", "deep/film.mp4", "deep/er/film.mp4", QUOTED):
        film(folder / name)
    film(folder / "folder.mp4" / "inside.mp4")


def _forbidden(folder: Path) -> None:
    for name in ("secret.mp4", "listed/a.mp4", "closed/a.mp4"):
        film(folder / name)
    (folder / "secret.mp4").chmod(0)
    (folder / "listed").chmod(0o444)  # its names can be read, its files cannot
    (folder / "closed").chmod(0)
