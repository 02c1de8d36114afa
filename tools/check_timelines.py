"""Count wrong EDL events: films of two hours at each rate and in each container, read back.

    python tools/check_timelines.py --hours 2
    python tools/check_timelines.py --hours 2 --pyscenedetect ENVIRONMENT/bin/python

Prints a table in Markdown. The films are packets of small pictures, with sound that begins before
the picture; one scene in ten seconds starts at a random frame, in another color. The EDL of `vujax
scenes` is read by OpenTimelineIO's CMX3600 adapter (package otio-cmx3600-adapter), and an event is
wrong unless its source and record times are exactly the frames that were written. With
--pyscenedetect, the films are cut where the frames that vujax decodes change their color and, in an
environment that has the package scenedetect, by PySceneDetect; a scene differs unless the table of
`vujax scenes` has the first frame, last frame and start of PySceneDetect's list.
"""

import argparse
import csv
import itertools
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import opentimelineio as otio
from av.container import InputContainer

from vujax.scenes import exports
from vujax.scenes.types import DetectedScenes, build_scenes
from vujax.video.decode import FrameReader
from vujax.video.probe import probe_film
from vujax.video.timecode import Clock, parse_timecode

PICTURES = "mpeg2video"  # its packets need no header of the file
CONTAINERS = ("mp4", "mkv", "ts", "mov")
LATE_S = Fraction(21, 1000)
SCENE_S = 10
COLORS = ((20, 20, 20), (230, 230, 230), (40, 0, 60), (255, 255, 120))
LIST = """
import json, sys
from scenedetect import ContentDetector, detect
for start, end in detect(sys.argv[1], ContentDetector(min_scene_len=1)):
    print(json.dumps([start.frame_num + 1, end.frame_num, start.get_timecode()]))
"""
"""Prints the columns Start Frame, End Frame and Start Timecode of PySceneDetect's list."""


@dataclass(frozen=True)
class Case:
    """A frame rate and a source timecode, '' for none."""

    name: str
    rate: Fraction
    timecode: str


FILM, NTSC, FAST = (Fraction(whole * 1000, 1001) for whole in (24, 30, 60))
CASES = (
    Case("23.976", FILM, "01:00:00:00"),
    Case("24", Fraction(24), "01:00:00:00"),
    Case("25", Fraction(25), "10:00:00:00"),
    Case("29.97 drop", NTSC, "01:00:00;00"),
    Case("29.97 non-drop", NTSC, "01:00:00:00"),
    Case("50", Fraction(50), "10:00:00:00"),
    Case("59.94 drop", FAST, "01:00:00;00"),
)


def encode_sound(folder: Path, frames: int) -> InputContainer:
    """Encode silence, and return the container that holds it."""
    path = folder / "sound.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mp2", rate=48000, layout="mono")
        silence = np.zeros((1, 1152 * frames), np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
        frame.sample_rate = 48000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return av.open(str(path))


def encode_pictures(rate: Fraction) -> list[bytes]:
    """Return a packet for each color, which is decoded without the others."""
    packets = []
    for color in COLORS:
        context = av.CodecContext.create(PICTURES, "w")
        context.width = context.height = 16
        context.pix_fmt, context.time_base, context.framerate = "yuv420p", 1 / rate, rate
        image = np.broadcast_to(np.array(color, np.uint8), (16, 16, 3))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts = 0
        encoded = [*context.encode(frame.reformat(format="yuv420p")), *context.encode(None)]
        packets.append(b"".join(map(bytes, encoded)))
    return packets


def write_film(path: Path, case: Case, cuts: Sequence[int], frames: int) -> None:
    """Write a film: a color per scene, and a second of sound that begins before it."""
    pictures = encode_pictures(case.rate)
    scene = np.repeat(np.arange(len(cuts)), np.diff([*cuts, frames])) % len(pictures)
    with encode_sound(path.parent, 50) as sound, av.open(str(path), "w") as film:
        if case.timecode:
            film.metadata["timecode"] = case.timecode
        video = film.add_stream(PICTURES, rate=case.rate)
        video.width = video.height = 16
        audio = film.add_stream_from_template(sound.streams.audio[0])
        film.start_encoding()
        for packet in sound.demux(audio=0):
            if packet.size:
                packet.stream = audio
                film.mux(packet)
        for number in range(frames):
            packet = av.Packet(pictures[scene[number]])
            packet.stream, packet.is_keyframe = video, True
            packet.time_base = 1 / case.rate / 1000
            packet.pts = packet.dts = round((number / case.rate + LATE_S) * case.rate * 1000)
            packet.duration = 1000
            film.mux(packet)


def read_times(path: Path) -> list[int]:
    """Return the timestamps of all pictures, in order."""
    with av.open(str(path)) as film:
        return sorted(p.pts for p in film.demux(video=0) if p.size and p.pts is not None)


def detect(path: Path, case: Case, cuts: Sequence[int]) -> DetectedScenes:
    """Return the scenes that begin at these frames, as `vujax scenes` would from a catalog."""
    video, times = probe_film(path).video, read_times(path)
    clock = replace(video.clock, first_s=times[0] * video.clock.time_base)
    timecode = video.timecode or case.timecode  # where the container has none: --start-timecode
    clock = clock.with_timecode(timecode) if timecode else clock
    edges = [*cuts, len(times)]
    ends = [*times, times[-1] + clock.frame_ticks]
    rows = [
        dict(
            first_frame=first,
            last_frame=end - 1,
            begin_pts=ends[first],
            end_pts=ends[end],
            begin_s=float(clock.seconds(ends[first])),
            end_s=float(clock.seconds(ends[end])),
        )
        for first, end in itertools.pairwise(edges)
    ]
    scores, chosen = [1.0] * (len(rows) - 1), range(len(rows) - 1)
    scenes = build_scenes("film", rows, clock, scores, chosen, video.variable_rate)
    facts = dict(detector="", encoder="", encoder_digest="", head="", head_digest="")
    return DetectedScenes(
        film="film",
        path=str(path),
        title=path.name,
        clock=clock,
        size=video.shown,
        variable_rate=video.variable_rate,
        reason="",
        boundaries_s=(),
        scores=tuple(scores),
        threshold=None,
        provenance=facts,
        scenes=scenes,
    )


def wrong_events(path: Path, case: Case, cuts: Sequence[int], frames: int) -> int:
    """Return how many events of an EDL have other frames than the cuts, by the CMX adapter."""
    clock = Clock(Fraction(1, 1000), rate=case.rate)
    first = parse_timecode(case.timecode, clock.timecode_rate)
    timeline = otio.adapters.read_from_file(
        str(path), adapter_name="cmx_3600", rate=float(case.rate)
    )
    (track,) = timeline.video_tracks()
    clips = list(track.find_clips())
    edges = [*cuts, frames]
    wrong = abs(len(clips) - len(cuts))
    for clip, start, end in zip(clips, edges, edges[1:], strict=False):
        span = clip.source_range
        found = (span.start_time.to_frames() - first, span.duration.to_frames())
        record = clip.range_in_parent().start_time.to_frames()
        wrong += found != (start, end - start) or record != start
    return wrong


def find_cuts(path: Path) -> list[int]:
    """Return the frames of a film, as vujax decodes it, at which the color changes."""
    reader = FrameReader(path, size=(4, 4), every_s=None, chunk=4096)
    colors = np.concatenate([chunk.small.mean((1, 2)) for chunk in reader])
    return [0, *(np.flatnonzero(np.abs(np.diff(colors, axis=0)).max(1) > 20) + 1).tolist()]


def differing_scenes(path: Path, case: Case, table: Path, python: str) -> tuple[int, int]:
    """Return how many scenes of a table differ from PySceneDetect's list, and the list's length."""
    command = [python, "-c", LIST, str(path)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    listed = [json.loads(line) for line in text.splitlines()]
    exports.open_export("csv").write(detect(path, case, find_cuts(path)), table)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    origin_s = float(rows[0]["begin_s"])
    own = [
        [int(row["first_frame"]) + 1, int(row["last_frame"]) + 1, float(row["begin_s"]) - origin_s]
        for row in rows
    ]
    same = sum(
        mine[:2] == other[:2] and abs(mine[2] - _seconds(other[2])) < 0.5 / case.rate
        for mine, other in zip(own, listed, strict=False)
    )
    return max(len(own), len(listed)) - same, len(listed)


def _seconds(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def check(case: Case, hours: float, seed: int, python: str | None) -> Iterator[str]:
    """Yield `wrong / all` for each container."""
    frames = round(hours * 3600 * case.rate)
    random = np.random.default_rng(seed)
    count = max(2, round(hours * 3600 / SCENE_S))
    inner = random.choice(np.arange(1, frames), count - 1, replace=False)
    cuts = [0, *sorted(inner.tolist())]
    for suffix in CONTAINERS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"film.{suffix}")
            write_film(path, case, cuts, frames)
            if python is not None:
                table = Path(folder, "scenes.csv")
                wrong, listed = differing_scenes(path, case, table, python)
                yield f"{wrong} of {listed}"
                continue
            edl = Path(folder, "scenes.edl")
            exports.open_export("edl").write(detect(path, case, cuts), edl)
            yield f"{wrong_events(edl, case, cuts, frames)} of {len(cuts)}"


def main() -> None:
    """Check all cases."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pyscenedetect", metavar="PYTHON", help="Python that has scenedetect")
    parser.add_argument("--rates", nargs="+", choices=[case.name for case in CASES])
    options = parser.parse_args()
    print("| frames/s |", " | ".join(CONTAINERS), "|")
    print("|---" * (1 + len(CONTAINERS)) + "|")
    for case in CASES:
        if options.rates is None or case.name in options.rates:
            cells = check(case, options.hours, options.seed, options.pyscenedetect)
            print("|", " | ".join([case.name, *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
