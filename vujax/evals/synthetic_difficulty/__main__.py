"""Part of the evaluations."""

import argparse
import sys
from collections.abc import Sequence

from vujax.evals.synthetic_difficulty.films import measure_films
from vujax.evals.synthetic_difficulty.frames import measure_frames
from vujax.evals.synthetic_difficulty.scenes import measure_scenes

PARTS = {"frames": measure_frames, "films": measure_films, "scenes": measure_scenes}


def main(arguments: Sequence[str]) -> None:
    """Measure a part; the first argument names it, the others are its options."""
    parser = argparse.ArgumentParser(prog="python -m vujax.evals.synthetic_difficulty")
    parser.add_argument("part", choices=PARTS)
    chosen = parser.parse_args(arguments[:1]).part
    PARTS[chosen](arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
