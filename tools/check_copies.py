"""Compare the copies with chapters with those of `ffmpeg -c copy`: streams, tags, packets.

    python tools/check_copies.py

Prints a table in Markdown: one row per codec, one column per container of the film. The film is
made by ffmpeg, which must be on the PATH, and copied twice into the container that vujax selects.
Equal means: the number of streams, and for each of them codec, codec tag, size, aspect ratio, rate,
end to a tenth of a second, and a hash of each packet.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from vujax.scenes.exports.chapters import EXPORT
from vujax.scenes.types import DetectedScenes, build_scenes
from vujax.video.probe import FilmError, probe_film

SECONDS = 2
CODECS: dict[str, tuple[str, ...]] = {
    "h264": (
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "2",
        "-g",
        "12",
        "-pix_fmt",
        "yuv420p",
    ),
    "hevc": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:pools=1"),
    "hevc (hvc1)": (
        *("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:pools=1"),
        *("-tag:v", "hvc1"),
    ),
    "av1": ("-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-threads", "1"),
    "vp8": ("-c:v", "libvpx", "-deadline", "realtime"),
    "vp9": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
    "mpeg2": ("-c:v", "mpeg2video", "-bf", "2"),
    "mpeg4": ("-c:v", "mpeg4", "-bf", "1"),
    "mpeg4 (4:3)": ("-c:v", "mpeg4", "-aspect", "4:3"),
    "dnxhd": ("-c:v", "dnxhd", "-b:v", "36M", "-s", "1920x1080", "-pix_fmt", "yuv422p"),
    "prores": ("-c:v", "prores_ks", "-profile:v", "hq"),
    "dv": ("-c:v", "dvvideo", "-s", "720x576", "-pix_fmt", "yuv420p", "-ar", "48000", "-ac", "2"),
    "flv1": ("-c:v", "flv"),
    "mjpeg": ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
    "ffv1": ("-c:v", "ffv1"),
    "wmv2": ("-c:v", "wmv2"),
    "theora": ("-c:v", "libtheora"),
}
SOUND = {
    "webm": ("-c:a", "libopus"),
    "ogg": ("-c:a", "libvorbis"),
    "mxf": ("-c:a", "pcm_s16le", "-ar", "48000"),
    "avi": ("-c:a", "libmp3lame"),
    "flv": ("-c:a", "libmp3lame", "-ar", "44100"),
    "asf": ("-c:a", "wmav2"),
    "dv": ("-c:a", "pcm_s16le", "-ar", "48000", "-ac", "2"),
    "mpg": ("-c:a", "mp2"),
}
CONTAINERS = ("mp4", "mov", "mkv", "ts", "avi", "mxf", "flv", "mpg", "asf", "webm", "ogg")


def ffmpeg(words: Sequence[str | Path]) -> bool:
    """Run ffmpeg; return False where it refuses."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *map(str, words)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def make_film(folder: Path, codec: str, container: str) -> Path | None:
    """Make a film of a codec in a container; None where ffmpeg cannot."""
    path = folder / f"film.{container}"
    picture = ("-f", "lavfi", "-i", f"testsrc2=s=64x48:r=25:d={SECONDS}")
    sound = ("-f", "lavfi", "-i", f"sine=d={SECONDS}")
    options = (*CODECS[codec], *SOUND.get(container, ("-c:a", "aac")))
    made = ffmpeg([*picture, *sound, *options, "-map_metadata", "-1", path])
    if not made or not path.stat().st_size:
        return None
    with av.open(str(path)) as film:  # some muxers write a picture that no reader finds
        return path if film.streams.video and film.streams.video[0].codec_context else None


def describe(path: Path) -> list[dict[str, Any]]:
    """Return the facts of each stream that both copies must share."""
    with av.open(str(path)) as film:
        streams = [stream for stream in film.streams if stream.type != "data"]
        facts = [_stream_facts(stream) for stream in streams]
        hashes = [hashlib.sha256() for _ in film.streams]
        ends = [Fraction(0)] * len(film.streams)
        for packet in film.demux(streams):
            if packet.size:
                hashes[packet.stream.index].update(hashlib.sha256(bytes(packet)).digest())
                end = ((packet.pts or 0) + (packet.duration or 0)) * packet.time_base
                ends[packet.stream.index] = max(ends[packet.stream.index], end)
        for stream, fact in zip(streams, facts, strict=True):
            fact |= dict(packets=hashes[stream.index].hexdigest(), end=ends[stream.index])
    return facts


def _stream_facts(stream: Any) -> dict[str, Any]:
    context = stream.codec_context  # attachments have none
    name, tag = (context.name, _tag(stream)) if context else (stream.name, "")
    facts = dict(type=stream.type, codec=name, tag=tag)
    if stream.type == "video":
        facts |= dict(
            size=(stream.width, stream.height),
            aspect=stream.sample_aspect_ratio or Fraction(1),
            rate=stream.average_rate,
        )
    return facts


def _tag(stream: Any) -> str:
    try:
        return stream.codec_context.codec_tag
    except UnicodeDecodeError:
        return "?"


def differences(ours: Path, theirs: Path) -> list[str]:
    """Return what differs between two copies."""
    pairs = [describe(ours), describe(theirs)]
    if len(pairs[0]) != len(pairs[1]):
        return [f"{len(pairs[0])} streams, not {len(pairs[1])}"]
    found = []
    for index, (mine, other) in enumerate(zip(pairs[0], pairs[1], strict=True)):
        ends = abs(mine.pop("end") - other.pop("end"))
        if ends > Fraction(1, 10):
            found.append(f"stream {index} ends {float(ends):.2f} s apart")
        found += [
            f"stream {index} {key}: {mine[key]}, not {other[key]}"
            for key in mine
            if mine[key] != other[key] and key != "packets"
        ]
        if mine["packets"] != other["packets"]:
            found.append(f"stream {index} packets")
    return found


def scenes_of(path: Path) -> DetectedScenes:
    """Return two scenes of a film."""
    clock = probe_film(path).video.clock
    first = round((clock.origin_s) / clock.time_base)
    edges = [first, first + 25 * clock.frame_ticks, first + 50 * clock.frame_ticks]
    rows = [
        dict(
            first_frame=25 * i,
            last_frame=25 * i + 24,
            begin_pts=edges[i],
            end_pts=edges[i + 1],
            begin_s=float(clock.seconds(edges[i])),
            end_s=float(clock.seconds(edges[i + 1])),
        )
        for i in range(2)
    ]
    return DetectedScenes(
        film="film",
        path=str(path),
        title=path.name,
        clock=clock,
        size=(64, 48),
        variable_rate=False,
        reason="",
        boundaries_s=(),
        scores=(1.0,),
        threshold=None,
        provenance={},
        scenes=build_scenes("film", rows, clock, [1.0], [0]),
    )


def compare(film: Path, folder: Path) -> tuple[str, list[str]]:
    """Return the verdict on one film, and what differs."""
    try:
        scenes = scenes_of(film)
        ours = EXPORT.path(scenes, folder, "ours")
        notes = EXPORT.write(scenes, ours)
    except (FilmError, ValueError) as error:
        theirs = folder / "theirs.mkv"
        return ("refused", [str(error)])
    theirs = folder / f"theirs{ours.suffix}"
    if not ffmpeg(["-i", film, "-map", "0", "-c", "copy", theirs]):
        with av.open(str(ours)) as copy:
            return f"only vujax {ours.suffix}", [f"{len(copy.streams)} streams"]
    found = [*differences(ours, theirs), *notes]
    return (f"equal {ours.suffix}" if not found else "differs"), found


def main() -> None:
    """Print the table, and what differs to standard error."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--codecs", nargs="+", choices=CODECS, default=list(CODECS))
    parser.add_argument("--containers", nargs="+", choices=CONTAINERS, default=list(CONTAINERS))
    options = parser.parse_args()
    if not shutil.which("ffmpeg"):
        raise SystemExit("ffmpeg is not installed; install Debian's package ffmpeg")
    print("| codec |", " | ".join(options.containers), "|")
    print("|---" * (1 + len(options.containers)) + "|")
    equal = films = 0
    for codec in options.codecs:
        cells = []
        for container in options.containers:
            with tempfile.TemporaryDirectory() as folder:
                film = make_film(Path(folder), codec, container)
                if film is None:
                    cells.append("")
                    continue
                verdict, found = compare(film, Path(folder))
            films, equal = films + 1, equal + verdict.startswith("equal")
            cells.append(verdict)
            if not verdict.startswith("equal"):
                print("; ".join([codec, container, verdict] + found), file=sys.stderr, flush=True)
        print("|", " | ".join([codec, *cells]), "|", flush=True)
    print(f"\nEqual: {equal} of {films} films.")


if __name__ == "__main__":
    main()
