"""Times `vujax scenes` on one film, beside PySceneDetect, the nearest thing that a user would run.

    VUJAX_DATA=FOLDER python tools/bench_scenes.py [--film FILE] [--sides NAME ...] [--repeat 3]

The film is that of tools/bench_shots.py, unless another one is given. Every side runs in a process
of its own, and they take turns; commands are timed whole, start and compilation too. Programs that
were compiled before are in the user's cache: set VUJAX_CACHE to an empty folder (and fetch the
weights into it) for a first run. Prints a JSON line a run: wall and CPU seconds (of child processes
too), the film's length over wall time, peak memory; for ours also the seconds of its stages, as
scenes.json has them, and scenes found.

- scenes, scenes-adaptive: `vujax scenes FILM` in all formats, shots by TransNetV2 or by
  PySceneDetect's detector, borders by the package's head, or by that of $BENCH_HEAD (a path, or
  none).
- decode: our pass over all frames alone, with a still every 0.5 s, as both of them make it.
- scenedetect: `scenedetect detect-adaptive save-images list-scenes`, with its defaults: shots, and
  three pictures of each; no scenes.

The last line has medians: for ours the shares of the wall time that went to decoding (that of the
side `decode`; the rest of the stage runs beside it), to shots without it, to the encoder, to the
rest, and to the start; what comes after shot detection; all that is not decoding; and
PySceneDetect's wall time over ours.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import av
import bench_shots

from vujax.catalog import Catalog

STAGES = ("shots", "encoder", "rest")
OURS = {"scenes": "transnetv2", "scenes-adaptive": "adaptive"}
SIDES = (*OURS, "decode", "scenedetect")
HEAD = os.environ.get("BENCH_HEAD", "default")


def scenes(film: Path, out: Path, shots: str) -> bench_shots.Run:
    """Our command line."""

    def run() -> tuple[int, int]:
        command = [sys.executable, "-m", "vujax.cli", "scenes", str(film), f"--out={out}"]
        command += [f"--shots={shots}", f"--head={HEAD}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        [row] = Catalog(out / "catalog").films().to_pylist()
        return row["frames"], row["shots"] - 1

    return run


def measure(side: str, film: Path) -> dict[str, float | str]:
    """One run of a side, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        if side not in OURS:
            name = "decode-stills" if side == "decode" else side
            result = bench_shots.timed(side, bench_shots.SIDES[name](film, Path(folder)))
        else:
            result = bench_shots.timed(side, scenes(film, out, OURS[side]))
            found = json.loads((out / "scenes.json").read_text())
            result |= {f"{stage}_s": found["made"]["took_s"][stage] for stage in STAGES}
            result["scenes"] = len(found["scenes"])
    return result | {"x_real_time": seconds(film) / result["wall_s"]}


def seconds(film: Path) -> float:
    """The film's length."""
    with av.open(str(film)) as container:
        return container.duration / av.time_base


def shares(ours: Sequence[dict], decode_s: float) -> dict[str, float]:
    """Of the median wall time."""
    median = {key: statistics.median(run[key] for run in ours) for key in ("wall_s", "x_real_time")}
    stages = {s: statistics.median(run[f"{s}_s"] for run in ours) for s in STAGES}
    wall, decoding = median["wall_s"], min(decode_s, stages["shots"])
    found = {
        "decode": decoding,
        "shots without decode": stages["shots"] - decoding,
        "encoder": stages["encoder"],
        "rest": stages["rest"],
        "start": wall - sum(stages.values()),
        "after shots": stages["encoder"] + stages["rest"],
        "not decode": wall - decoding,
    }
    return median | {name: value / wall for name, value in found.items()}


def main() -> None:
    """Runs the sides in turn, and prints their shares."""
    args = bench_shots.arguments(__doc__, SIDES)
    if args.in_process:
        print(json.dumps(measure(args.sides[0], args.film)))
        return
    runs: dict[str, list[dict]] = {side: [] for side in args.sides}
    with bench_shots.made(args.film) as film:
        for result in bench_shots.turns(__file__, film, args.sides, args.repeat):
            runs[result["side"]].append(result)
    wall = {side: statistics.median(r["wall_s"] for r in found) for side, found in runs.items()}
    last = {}
    for side in OURS.keys() & wall.keys():
        if "decode" in wall:
            last[side] = shares(runs[side], wall["decode"])
        if "scenedetect" in wall:
            last[f"{side} over scenedetect"] = wall["scenedetect"] / wall[side]
    print(json.dumps(last))


if __name__ == "__main__":
    main()
