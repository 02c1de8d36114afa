"""Score shot detectors on real and synthetic films: precision, recall and F1 by transition.

    VUJAX_DATA=FOLDER python tools/score_shots.py --films bbb480 bbb_4fps
    python tools/score_shots.py --films cinema --cinema films/

Prints a JSON line per film and detector; the films of a folder of synthetic films are pooled.

- bbb480: 2 minutes of Big Buck Bunny at 30 frames/s. Its list of shots is that of another detector
  on the film at its own 24 frames/s: agreement, not ground truth. A gap between shots of that list
  counts as a gradual transition.
- bbb_4fps: the complete film at 4 frames/s, a rate that no detector here supports; same list.
- cinema: films of `vujax synthesize`, against their ground truth.

Transitions within the tolerance count as correct; `seconds` of one machine are no benchmark.
"""

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from vujax.evals.metrics.shots import Extent, count_matches, score_counts, transition_extents
from vujax.video.decode import FrameReader
from vujax.video.shots import open_detector
from vujax.video.shots.base import ShotDetector, Transition

DETECTORS = {
    "transnetv2-exact": ("transnetv2", dict(exact=True)),
    "transnetv2": ("transnetv2", dict(skip_still=0.0)),
    "transnetv2-skipping": ("transnetv2", dict(skip_still=2.0)),
    "adaptive": ("adaptive", {}),
    "content": ("content", {}),
}
BBB_START_S = 26.05 - 1.4  # film seconds of bbb480.ts = its timestamps + this
Case = tuple[Path, list[Extent], float]
"""A film, its true transitions in film seconds, and the film second of its timestamp 0."""


def bbb(name: str, start_s: float) -> Case:
    """Return a copy of Big Buck Bunny with its transitions by bbb_ovsd.json."""
    folder = Path(os.environ["VUJAX_DATA"]) / "bbb"
    document = json.loads((folder / "bbb_ovsd.json").read_text())
    fps = document["fps"]
    ends = [(old[1] + 1, new[0]) for old, new in pairwise(document["shots"])]
    true = [Extent(a / fps, b / fps, "cut" if a == b else "gradual") for a, b in ends]
    return folder / name, true, start_s


def cinema(folder: Path) -> Iterator[Case]:
    """Iterate over the films of `vujax synthesize` in a folder, with their ground truth."""
    from vujax.data.synthetic.ground_truth import read_truth

    for path in sorted(folder.glob("*.truth.json")):
        truth = read_truth(path)
        times = [float(k / truth.fps) for k in range(truth.frames)]
        yield path.with_name(f"{truth.name}.mp4"), transition_extents(truth.transitions, times), 0.0


def detect(detector: ShotDetector, path: Path) -> tuple[list[Transition], list[float]]:
    """Detect a film's transitions; return them with the timestamps of its frames in seconds."""
    reader = FrameReader(path, size=detector.size, every_s=None)
    detection, transitions, times = detector.start(reader.video), [], []
    for chunk in reader:
        transitions += detection.add(chunk)
        times += (chunk.pts * float(reader.video.clock.time_base)).tolist()
    return [*transitions, *detection.finish()], times


def evaluate(detector: ShotDetector, cases: Sequence[Case], tolerance_s: float) -> dict[str, float]:
    """Score a detector on all films together, and time it."""
    counts: Counter[str] = Counter()
    frames, start = 0, time.perf_counter()
    for path, true, start_s in cases:
        found, times = detect(detector, path)
        times = [start_s + t for t in times]
        inside = [e for e in true if times[0] < e.start and e.end < times[-1]]
        counts += count_matches(transition_extents(found, times), inside, tolerance_s)
        frames += len(times)
    return score_counts(counts) | dict(frames=frames, seconds=time.perf_counter() - start)


def main() -> None:
    """Score the selected detectors on the selected films."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    films = dict(
        bbb480=lambda: [bbb("bbb480.ts", BBB_START_S)],
        bbb_4fps=lambda: [bbb("bbb_160x120_4fps.mp4", 0.0)],
        cinema=lambda: list(cinema(args.cinema)),
    )
    parser.add_argument("--films", nargs="+", choices=films, default=["bbb480", "bbb_4fps"])
    parser.add_argument(
        "--cinema", type=Path, default=Path("films"), help="folder of synthetic films"
    )
    parser.add_argument("--detectors", nargs="+", choices=DETECTORS, default=list(DETECTORS))
    parser.add_argument("--tolerance", type=float, default=0.3, help="seconds")
    args = parser.parse_args()
    for film in args.films:
        cases = films[film]()
        for name in args.detectors:
            kind, options = DETECTORS[name]
            detector = open_detector(kind, **options)
            line = dict(film=film, detector=name, name=detector.name, tolerance_s=args.tolerance)
            line |= evaluate(detector, cases, args.tolerance)
            rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in line.items()}
            print(json.dumps(rounded), flush=True)


if __name__ == "__main__":
    main()
