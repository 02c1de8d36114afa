"""Print the difficulty of synthetic films: scores of colors, sounds and oracles.

python -m vujax.evals.synthetic_difficulty frames|films|scenes [options]
"""

import argparse
import sys
from collections.abc import Sequence

from vujax.evals.synthetic_difficulty.films import measure_films
from vujax.evals.synthetic_difficulty.frames import measure_frames
from vujax.evals.synthetic_difficulty.scenes import measure_scenes

SUBJECTS = {"frames": measure_frames, "films": measure_films, "scenes": measure_scenes}


def main(arguments: Sequence[str]) -> None:
    """Measure one subject; the first argument names it, the others are its options."""
    parser = argparse.ArgumentParser(prog="python -m vujax.evals.synthetic_difficulty")
    parser.add_argument("subject", choices=SUBJECTS, help="frames, films or scenes")
    chosen = parser.parse_args(arguments[:1]).subject
    SUBJECTS[chosen](arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
