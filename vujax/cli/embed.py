"""`vujax embed CATALOG --encoder E`: embeddings of keyframes, shots and scenes.

A second run skips films with current embeddings.
"""

import argparse
from pathlib import Path

from vujax.cli import runner

LEVELS = ("frame", "shot", "scene")
ENCODER = "lite (EfficientNet-Lite0), the folder of a model, or ORG/MODEL of the hub"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("catalog", type=Path, metavar="CATALOG", help="catalog folder")
    add(
        "--encoder",
        required=True,
        metavar="NAME",
        help=f"encoder: {ENCODER}; DIRECTORY:projection for what ShotCoL and Movies2Scenes compare",
    )
    add(
        "--level",
        choices=LEVELS,
        help="items to embed; scenes need `vujax scenes` (default: frame and shot, or shot alone "
        "for encoders of whole shots)",
    )
    add(
        "--batch", type=int, default=32, metavar="N", help="images or shots per batch (default: 32)"
    )
    runner.add_arguments(
        parser,
        "decoding threads with --runner local (default: one per core), actors with --runner ray "
        "(default: one per GPU or core)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Compute the embeddings.

    Returns:
      1 with --strict if a film is incomplete, otherwise 0.
    """
    from vujax import encoders
    from vujax.pipeline.embed import embed

    make = encoders.make_opener(arguments.encoder)
    levels = None if arguments.level is None else (arguments.level,)
    execution = runner.build_runner(arguments)
    prepared = embed(
        arguments.catalog, make, levels=levels, batch=arguments.batch, runner=execution
    )
    terminal = runner.follow(prepared, execution, "embedded")
    keyframes = sum(outcome.keyframes for outcome in terminal.outcomes if outcome.done)
    if arguments.level != "scene":  # which may be means of existing embeddings
        print(f"{'speed':<12} {keyframes / terminal.elapsed_s:.1f} keyframes/s")
    return runner.finish(terminal, prepared.listing, arguments.strict)
