"""`vujax embed CATALOG --encoder E [--level scene]`: vectors of keyframes, shots and scenes.

Run again, it passes over the films whose vectors are there.
"""

import argparse
from pathlib import Path

from vujax.cli import runner

LEVELS = ("frame", "shot", "scene")
ENCODER = "lite (EfficientNet-Lite0), or the folder of a trained or imported model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("catalog", type=Path, metavar="CATALOG", help="folder of the catalogue")
    add("--encoder", required=True, metavar="NAME", help=ENCODER)
    add(
        "--level",
        choices=LEVELS,
        help="keyframes, shots, or the scenes that `vujax scenes` found (keyframes and shots; "
        "shots alone of an encoder that sees no single pictures)",
    )
    add("--batch", type=int, default=32, metavar="N", help="pictures, or shots, at once (32)")
    runner.add_arguments(
        parser,
        "local: threads that decode beside the network (one for each core); ray: actors (one for "
        "each GPU, or core)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Makes the vectors; exit status 0 even when some films have none, unless --strict."""
    from vujax import encoders
    from vujax.pipeline.embed import embed

    make = encoders.make_opener(arguments.encoder)
    levels = None if arguments.level is None else (arguments.level,)
    who = runner.build_runner(arguments)
    prepared = embed(arguments.catalog, make, levels=levels, batch=arguments.batch, runner=who)
    terminal = runner.follow(prepared, who, "embedded")
    made = sum(outcome.keyframes for outcome in terminal.outcomes if outcome.done)
    if arguments.level != "scene":  # which may be means of what is there
        print(f"{'speed':<12} {made / terminal.elapsed_s:.1f} keyframes/s")
    return runner.finish(terminal, prepared.listing, arguments.strict)
