"""`vujax ingest FOLDER --out CATALOG`: films to a catalogue of shots and keyframes.

Run again, it passes over the films that the catalogue has, and so finishes what was interrupted.
"""

import argparse
import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vujax.cli import runner

DETECTORS = ("transnetv2", "adaptive", "content")
AUDIO_RATE = 16000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="FOLDER_OR_FILE", help="folders, video files")
    add("--out", required=True, type=Path, metavar="CATALOG", help="folder of the catalogue")
    shots = parser.add_argument_group("shots")
    add = shots.add_argument
    how = shots.add_mutually_exclusive_group()
    how.add_argument(
        "--detector", default="transnetv2", metavar="NAME", help=f"{', '.join(DETECTORS)} (first)"
    )
    how.add_argument(
        "--shots",
        type=Path,
        metavar="FILE",
        help="known shots of one film (MovieNet .txt, .edl, .csv, .tsv), or a folder of lists for "
        "each film",
    )
    add(
        "--detector-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the detector; may be given several times",
    )
    add = parser.add_argument_group("what is kept").add_argument
    add(
        "--positions",
        type=float,
        nargs="+",
        default=[0.25, 0.5, 0.75],
        metavar="P",
        help="of the keyframes in each shot, 0 its begin and 1 its end (0.25 0.5 0.75)",
    )
    add("--side", type=int, default=224, metavar="PX", help="a keyframe's shorter side (224)")
    add("--quality", type=int, default=90, help="of the keyframes' JPEG (90)")
    add(
        "--audio",
        type=int,
        nargs="?",
        const=AUDIO_RATE,
        metavar="RATE",
        help=f"also keep each shot's sound, mono FLAC ({AUDIO_RATE} Hz)",
    )
    add("--metadata", type=Path, metavar="FILE", help="CSV or Parquet with a column path or film")
    runner.add_arguments(parser, "films at once (one for each core)")


def run(arguments: argparse.Namespace) -> int:
    """Reads the films; exit status 0 even when some of them are bad, unless --strict."""
    from vujax.pipeline.ingest.run import ingest
    from vujax.pipeline.ingest.settings import IngestSettings

    settings = IngestSettings(
        positions=tuple(arguments.positions),
        side=arguments.side,
        quality=arguments.quality,
        audio_rate=arguments.audio,
    )
    who = runner.build_runner(arguments)
    prepared = ingest(
        arguments.paths,
        arguments.out,
        _detectors(arguments),
        settings,
        metadata=arguments.metadata,
        runner=who,
    )
    if arguments.shots is not None and arguments.shots.is_file():
        _need_one(prepared.listing.sources, arguments.shots)
    terminal = runner.follow(prepared, who, "read")
    return runner.finish(terminal, prepared.listing, arguments.strict)


def _need_one(sources: Sequence[Any], shots: Path) -> None:
    if len(sources) > 1:
        raise ValueError(
            f"{shots} holds one film's shots, and there are {len(sources)} films: give --shots a "
            "folder with a list for each"
        )


def _detectors(arguments: argparse.Namespace) -> Any:
    from vujax.pipeline.ingest.detectors import open_detectors

    options = dict(_option(text) for text in arguments.detector_option)
    if arguments.shots is None:
        return open_detectors(arguments.detector, options)
    if not arguments.shots.exists():
        raise FileNotFoundError(f"{arguments.shots} does not exist (--shots)")
    return open_detectors(arguments.shots, options)


def _option(text: str) -> tuple[str, Any]:
    name, mark, value = text.partition("=")
    if not mark or not name.isidentifier():
        raise ValueError(f"--detector-option {text!r} is not NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
