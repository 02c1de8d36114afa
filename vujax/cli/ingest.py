"""`vujax ingest FOLDER --out CATALOG`: films to a catalog of shots and keyframes.

A second run skips films that are in the catalog, and so resumes an interrupted one.
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
    """Declare the command's arguments."""
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        type=Path,
        metavar="FOLDER_OR_FILE",
        help="video files or folders of them",
    )
    add("--out", required=True, type=Path, metavar="CATALOG", help="catalog folder")
    shots = parser.add_argument_group("shots")
    add = shots.add_argument
    source = shots.add_mutually_exclusive_group()
    source.add_argument(
        "--detector",
        default="transnetv2",
        metavar="NAME",
        help=f"shot detector: {', '.join(DETECTORS)} (default: transnetv2)",
    )
    source.add_argument(
        "--shots",
        type=Path,
        metavar="FILE",
        help="shot-list file of one film (MovieNet .txt, .edl, .csv, .tsv), or a directory with "
        "one per film",
    )
    add(
        "--detector-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the detector; repeatable",
    )
    add = parser.add_argument_group("contents of the catalog").add_argument
    add(
        "--positions",
        type=float,
        nargs="+",
        default=[0.25, 0.5, 0.75],
        metavar="P",
        help="positions of keyframes in a shot, from 0 (start) to 1 (end) (default: 0.25 0.5 0.75)",
    )
    add(
        "--side",
        type=int,
        default=224,
        metavar="PX",
        help="shorter side of a keyframe in pixels (default: 224)",
    )
    add("--quality", type=int, default=90, help="JPEG quality of keyframes (default: 90)")
    add(
        "--audio",
        type=int,
        nargs="?",
        const=AUDIO_RATE,
        metavar="RATE",
        help=f"store the sound of each shot as mono FLAC at RATE Hz (default rate: {AUDIO_RATE})",
    )
    add(
        "--metadata",
        type=Path,
        metavar="FILE",
        help="metadata: CSV or Parquet with a column path or film",
    )
    runner.add_arguments(parser, "films processed at once (default: one per core)")


def run(arguments: argparse.Namespace) -> int:
    """Ingest the films.

    Returns:
      1 with --strict if a film is incomplete, otherwise 0.
    """
    from vujax.pipeline.ingest.run import ingest
    from vujax.pipeline.ingest.settings import IngestSettings

    settings = IngestSettings(
        positions=tuple(arguments.positions),
        side=arguments.side,
        quality=arguments.quality,
        audio_rate=arguments.audio,
    )
    execution = runner.build_runner(arguments)
    prepared = ingest(
        arguments.paths,
        arguments.out,
        _detectors(arguments),
        settings,
        metadata=arguments.metadata,
        runner=execution,
    )
    if arguments.shots is not None and arguments.shots.is_file():
        _check_single_film(prepared.listing.sources, arguments.shots)
    terminal = runner.follow(prepared, execution, "read")
    return runner.finish(terminal, prepared.listing, arguments.strict)


def _check_single_film(sources: Sequence[Any], shots: Path) -> None:
    if len(sources) > 1:
        raise ValueError(
            f"{shots} holds the shots of one film, but there are {len(sources)} films; give "
            "--shots a directory with one list per film"
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
        raise ValueError(f"--detector-option must be NAME=VALUE, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
