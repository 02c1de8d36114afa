"""Run time of `vujax scenes` on one film, beside PySceneDetect.

    VUJAX_DATA=FOLDER python tools/bench_scenes.py [--film FILE] [--sides NAME ...] [--repeat 3]

The default film is that of tools/bench_shots.py. Every side runs in its own process, and the sides
alternate; commands are timed with start and compilation. Programs that were compiled before are in
the user's cache: set VUJAX_CACHE to an empty folder (and fetch the weights into it) to measure a
first run. Prints a JSON line per run: wall and CPU seconds (with child processes), duration of the
film over wall time, peak memory; for vujax also the seconds of the stages in scenes.json, and the
number of scenes.

- scenes, scenes-openvino: `vujax scenes FILM` in all formats, shots by TransNetV2, networks in JAX
  or through OpenVINO (extra [openvino]), boundaries by the head $BENCH_HEAD (default: structure).
- scenes-adaptive: the same, shots by PySceneDetect's detector.
- decode: vujax's pass over all frames alone, with a still every 0.5 s, as in both sides above.
- scenedetect: `scenedetect detect-adaptive save-images list-scenes`, with its defaults: shots, and
  three images of each; no scenes.

The last line has medians: for vujax the shares of the wall time of decoding (that of the side
`decode`; the rest of the stage runs in parallel), of shots without it, of the encoder, of the rest,
and of the start; of all after shot detection; of all but decoding; and PySceneDetect's wall
and CPU time over vujax's. On a machine that other work shares, only ratios of CPU times hold.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import bench_shots

from vujax.catalog import Catalog

STAGES = ("shots", "encoder", "rest")
OURS = {
    "scenes": ("--shots=transnetv2", "--runtime=jax"),
    "scenes-openvino": ("--shots=transnetv2", "--runtime=openvino"),
    "scenes-adaptive": ("--shots=adaptive", "--runtime=jax"),
}
SIDES = (*OURS, "decode", "scenedetect")
HEAD = os.environ.get("BENCH_HEAD", "structure")


def scenes(film: Path, out: Path, options: Sequence[str]) -> bench_shots.Run:
    """Prepare the command `vujax scenes`."""

    def run() -> tuple[int, int]:
        command = [sys.executable, "-m", "vujax.cli", "scenes", str(film), f"--out={out}"]
        command += [*options, f"--head={HEAD}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        [row] = Catalog(out / "catalog").films().to_pylist()
        return row["frames"], row["shots"] - 1

    return run


def measure(side: str, film: Path) -> dict[str, float | str]:
    """Run a side once, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        if side not in OURS:
            name = "decode-stills" if side == "decode" else side
            result = bench_shots.measure_run(side, bench_shots.SIDES[name](film, Path(folder)))
        else:
            result = bench_shots.measure_run(side, scenes(film, out, OURS[side]))
            found = json.loads((out / "scenes.json").read_text())
            result |= {f"{stage}_s": found["made"]["took_s"][stage] for stage in STAGES}
            result["scenes"] = len(found["scenes"])
    return result | {"x_real_time": read_duration(film) / result["wall_s"]}


def read_duration(film: Path) -> float:
    """Return the duration of a film in seconds."""
    with av.open(str(film)) as container:
        return container.duration / av.time_base


def shares(ours: Sequence[dict], decode_s: float) -> dict[str, float]:
    """Return shares of the median wall time."""
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
    """Run the sides alternately, and print their shares."""
    args = bench_shots.parse_arguments(__doc__, SIDES)
    if args.in_process:
        print(json.dumps(measure(args.sides[0], args.film)))
        return
    runs: dict[str, list[dict]] = {side: [] for side in args.sides}
    with bench_shots.open_or_make_film(args.film) as film:
        for result in bench_shots.run_alternately(__file__, film, args.sides, args.repeat):
            runs[result["side"]].append(result)
    wall, cpu = (
        {side: statistics.median(r[key] for r in found) for side, found in runs.items()}
        for key in ("wall_s", "cpu_s")
    )
    last: dict[str, Any] = {"cpu_s": cpu}
    for side in OURS.keys() & wall.keys():
        if "decode" in wall:
            last[side] = shares(runs[side], wall["decode"])
        if "scenedetect" in wall:
            last[f"{side} over scenedetect"] = wall["scenedetect"] / wall[side]
            last[f"{side} over scenedetect, CPU"] = cpu["scenedetect"] / cpu[side]
    print(json.dumps(last))


if __name__ == "__main__":
    main()
